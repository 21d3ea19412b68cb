"""What our commands ask of the API, and how its answers and refusals reach them."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Final, TypeVar

from graph.client import ApiError, Client, Data
from graph.commands.command import CommandError
from graph.commands.signals import attentively
from graph.settings import ClientSettings

_Result = TypeVar("_Result")

_PLAN: Final = """
fragment PlanParts on Plan {
  version digest summary complexity feedback
  steps { key title detail assignee status }
}
"""

_RUN_EVENTS: Final = (
    """
subscription RunEvents($runId: ID!, $after: String) {
  runEvents(runId: $runId, after: $after) {
    cursor type timestamp message sequence status
    ... on PlanReadyEvent { plan { ...PlanParts } }
    ... on ApprovalRequiredEvent { expiresAt }
    ... on ProgressEvent { step stepStatus progress totalSteps }
    ... on LogEvent { lines { level message step } }
    ... on MetricEvent { metrics { name value unit } }
    ... on ArtifactEvent { artifact { name mediaType size url } }
  }
}
"""
    + _PLAN
)

_RUN: Final = (
    """
query Run($runId: ID!) {
  run(id: $runId) {
    number status
    task { name }
    plan { ...PlanParts }
    failure { message }
    metricSummaries { name unit count min avg max last }
    artifacts { name mediaType size url }
  }
}
"""
    + _PLAN
)

_USER_ERRORS: Final = "userErrors { code message path }"


async def mutate(client: Client, field: str, selection: str, values: Data) -> Data:
    """Run a mutation that takes one input and return its payload.

    Args:
        client: Of the server.
        field: Of the root, such as createRun; its input's type is named after it.
        selection: What to select of the payload beside `userErrors`.
        values: Of the input; None leaves a field out.

    Raises:
        CommandError: The server refused, with the messages of its `userErrors`.
        ApiError: The API can't be used.
    """
    name = f"{field[0].upper()}{field[1:]}"
    query = f"mutation {name}($input: {name}Input!) {{ {field}(input: $input) {{ {selection} {_USER_ERRORS} }} }}"
    given = {key: value for key, value in values.items() if value is not None}
    payload: Data = (await client.execute(query, {"input": given}))[field]
    if payload["userErrors"]:
        raise CommandError(" ".join(error["message"] for error in payload["userErrors"]))
    return payload


def run_events(
    client: Client, run_id: str, after: str | None = None, on_cut: Callable[[ApiError], None] = lambda _: None
) -> AsyncGenerator[Data]:
    """Yield a run's events to its end, whatever becomes of the connection; see `Client.follow`."""
    return client.follow(_RUN_EVENTS, {"runId": run_id, "after": after}, "runEvents", on_cut)


async def find_run(client: Client, run_id: str) -> Data:
    """Return a run with its plan, metrics and artifacts.

    Raises:
        CommandError: There is no such run.
        ApiError: The API can't be used.
    """
    run: Data | None = (await client.execute(_RUN, {"runId": run_id}))["run"]
    if run is None:
        raise CommandError(f"There is no run with the id {run_id!r}.")
    return run


def add_url(parser: ArgumentParser) -> None:
    """Declare `--url`."""
    default = ClientSettings.model_fields["url"].default
    parser.add_argument("--url", metavar="URL", help=f"address of the server [MGX_URL, default {default}]")


def client(arguments: Namespace) -> Client:
    """Make a client of the server that the flags or the environment name.

    Raises:
        CommandError: That is no address.
    """
    try:
        return Client(arguments.url or ClientSettings().url)
    except ApiError as error:
        raise CommandError(str(error), exit_code=2) from error


def run_api(operation: Coroutine[Any, Any, _Result], runner: asyncio.Runner | None = None) -> _Result:
    """Run what speaks to the API.

    Raises:
        CommandError: Instead of an `ApiError`.
    """
    try:
        return (runner.run if runner else asyncio.run)(attentively(operation))
    except ApiError as error:
        raise CommandError(str(error)) from error
