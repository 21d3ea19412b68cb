"""What one core can do: a bare ASGI application that reads the rows and encodes dicts; no GraphQL, no checks.

With `--prepared` it does not even that, but sends the same bytes to everyone: what HTTP alone takes.
"""

from __future__ import annotations

import sys
from typing import Final

import orjson
from starlette.types import Receive, Scope, Send

from benchmarks.peers.rows import Runs
from benchmarks.peers.serving import database, serve

_PREPARED: Final = 50
"""Runs in the answer that is prepared."""


class Bare:
    """The application.

    Args:
        runs: What is read.
        prepared: An answer to send to everyone, in place of reading.
    """

    def __init__(self, runs: Runs, prepared: bytes | None = None) -> None:
        self._runs = runs
        self._prepared = prepared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        answer = self._prepared or self.answer(orjson.loads(body)["variables"]["first"])
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def answer(self, first: int) -> bytes:
        """Return a page of runs as it goes over the network."""
        return orjson.dumps({"data": {"runs": self._runs.page(first)}}, option=orjson.OPT_UTC_Z)


if __name__ == "__main__":
    runs = Runs(database())
    serve(Bare(runs, Bare(runs).answer(_PREPARED) if "--prepared" in sys.argv else None))
