"""The public API as a client sees it that never gives up: what got no answer is asked again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

from tests.long.net import Net
from tests.long.records import RETRYABLE, Ack, Json

ANSWER_SECONDS = 30.0
REST = 0.1
"""Seconds until a client asks again, or connects again, where a server is ending."""
ABANDONED = 0.1
"""Share of mutations whose client goes away before the answer, and asks again."""

EVENT = "id cursor type timestamp message data taskId ... on RunEvent { runId sequence status }"
SAMPLE = "storm.sample"
"""Name of the metric that clients add to runs."""

RUN_STATE = """
  id number taskId status allowedActions labels autoApprove priority progress currentStep results
  plan { version digest steps { key status output error } } plans { version digest }
  decisions { kind planVersion feedback actor } failure { code step } retryOf { id }
  approvalExpiresAt createdAt startedAt completedAt
  artifacts { name size sha256 url } metrics(first: 1) { totalCount }
  samples: metricSummaries(names: ["storm.sample"]) { count } logs(first: 1000) { nodes { message } }
"""


class UnexpectedAnswerError(Exception):
    """The API answered what it never should."""


@dataclass(slots=True)
class Traffic:
    """How often clients had to ask again."""

    requests: int = 0
    lost: int = 0
    abandoned: int = 0


class Api:
    """Queries and mutations over HTTP, with answers that get lost."""

    def __init__(self, net: Net, rng: Random) -> None:
        self.traffic = Traffic()
        self._net = net
        self._rng = rng

    async def query(self, document: str, **variables: Any) -> Json:
        """Return the data of an answer, however often it takes to get one."""
        while True:
            url = await self._net.front.url()
            self.traffic.requests += 1
            try:
                response = await self._net.http.post(
                    f"{url}/graphql", json={"query": document, "variables": variables}, timeout=ANSWER_SECONDS
                )
            except httpx.TransportError:
                self.traffic.lost += 1
                await asyncio.sleep(REST)
                continue
            if response.status_code == 503:
                await asyncio.sleep(REST)
                continue
            answer = response.json()
            codes = {error.get("extensions", {}).get("code") for error in answer.get("errors", ())}
            if codes and codes <= RETRYABLE:
                await asyncio.sleep(REST)
                continue
            if codes or response.status_code != 200:
                raise UnexpectedAnswerError(f"{response.status_code} {response.text[:2000]} to {document} {variables}")
            data: Json = answer["data"]
            return data

    async def mutate(self, mutation: str, input_type: str, input_: Json, *, shown: str | None = None) -> Ack:
        """Do something once, asking until there is an answer."""
        document = (
            f"mutation ($input: {input_type}!) {{ {mutation}(input: $input) {{ run {{ id }} "
            "userErrors { code message path } } }"
        )
        if self._rng.random() < ABANDONED:
            self.traffic.abandoned += 1
            try:
                async with asyncio.timeout(self._rng.uniform(0.0, 0.02)):
                    await self.query(document, input=input_)
            except TimeoutError:
                pass  # whether it was done is what the next try must not have to know
        payload = (await self.query(document, input=input_))[mutation]
        errors, run = payload["userErrors"], payload["run"]
        return Ack(
            mutation=mutation,
            input=input_,
            code=errors[0]["code"] if errors else None,
            run_id=run["id"] if run else None,
            shown=shown,
        )

    async def content(self, url: str) -> bytes:
        """Return the bytes of an artifact."""
        response = await self._net.http.get((await self._net.front.url()) + url if url.startswith("/") else url)
        response.raise_for_status()
        return response.content
