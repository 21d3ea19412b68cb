"""docs/api.md, whose answers are those of a server. After a change of either: `python -m tests.docs.api_page`.

The page is played from its first block to its last. What it understands:

    ```graphql              an operation, with ```json variables after it where it has some; its answer is written
                            to the ```json answer, or for a subscription the ```json-lines answer, that follows
    ```sh                   curl; what it prints goes to the ```text answer that follows
    ```text socket          a WebSocket: lines with `>` are sent, those with `<` are as many as are received
    ```js docs/examples/x   a file, shown as it is
    <!-- until: TYPE -->    ends the next subscription at an event
    <!-- wait: RUN STATUS -->
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.docs.normal import Names, compact, written
from tests.e2e.client import PATIENCE, Api
from tests.e2e.server import serving

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "api.md"
ADDRESS: Final = "127.0.0.1:8000"
"""Where the page has its server."""

_PART: Final = re.compile(
    r"<!-- (?P<name>\w+): (?P<value>[^>]*) -->|^```(?P<info>\S[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)


async def rendered(page: str) -> str:
    """Return the page with every answer made anew."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), default_team="rehearsal") as served:
            return await _Play(served.api).page(page)


class _Play:
    """One performance of the page."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._names = Names()
        self._until = ""
        self._operation = ""
        self._variables: dict[str, Any] = {}

    async def page(self, page: str) -> str:
        pieces, end = [], 0
        for part in _PART.finditer(page):
            pieces.append(page[end : part.start()])
            pieces.append(await self._part(part))
            end = part.end()
        return self._names.with_times("".join([*pieces, page[end:]]))

    async def _part(self, part: re.Match[str]) -> str:
        if part["name"]:
            await self._directive(part["name"], part["value"])
            return part[0]
        info, body = part["info"], part["body"]
        match info.split():
            case ["graphql" | "sh"]:
                self._operation, self._variables = self._names.server_of(body), {}
            case ["json", "variables"]:
                self._variables = json.loads(self._names.server_of(body))
            case ["json", "answer"]:
                body = written(self._names.page_of(await self._answer())) + "\n"
            case ["json-lines", "answer"]:
                body = await self._events()
            case ["text", "answer"] if shutil.which("curl"):
                body = await self._command()
            case ["text", "socket"]:
                body = await self._socket(body)
            case ["js", path]:
                body = (ROOT / path).read_text()
        return f"```{info}\n{body}```"

    async def _directive(self, name: str, value: str) -> None:
        if name == "until":
            self._until = value
        elif name == "wait":
            run_id, status = self._names.server_of(value).split()
            await self._api.until(run_id, status)

    async def _answer(self) -> Any:
        return (await self._api.post(self._operation, self._variables)).json()

    async def _events(self) -> str:
        """Return what a subscription sends, a line for each message."""
        until, self._until = self._until, ""
        lines = []
        async with asyncio.timeout(PATIENCE), self._api.subscribe(self._operation, **self._variables) as items:
            async for item in items:
                lines.append(compact({"data": self._names.page_of(item)}))
                if until and any(event["type"] == until for event in item.values()):
                    break
            else:
                lines.append("complete")
        return "".join(f"{line}\n" for line in lines)

    async def _command(self) -> str:
        command = self._operation.replace(ADDRESS, self._api.base.removeprefix("http://"))
        process = await asyncio.create_subprocess_shell(
            command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, command
        return "".join(f"{self._printed(line)}\n" for line in out.decode().rstrip("\n").split("\n"))

    def _printed(self, line: str) -> str:
        """Return a line of a command's output; JSON in it is shown as the page shows it."""
        start, brace, rest = line.partition("{")
        if start not in {"", "data: "} or not brace:
            return self._names.text_of(line)
        return start + compact(self._names.page_of(json.loads(brace + rest)))

    async def _socket(self, script: str) -> str:
        url, protocol = self._api.url.replace("http", "ws", 1), Subprotocol("graphql-transport-ws")
        lines = []
        async with asyncio.timeout(PATIENCE), connect(url, subprotocols=[protocol]) as socket:
            for line in script.splitlines():
                if line.startswith("> "):
                    await socket.send(self._names.server_of(line.removeprefix("> ")))
                    lines.append(line)
                else:
                    lines.append(f"< {compact(self._names.page_of(json.loads(await socket.recv())))}")
        return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(rendered(PAGE.read_text())))
