"""What `mgx demo` shows, once there is a server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing, nullcontext
from typing import Any, Final, TextIO, TypeVar
from urllib.parse import urljoin
from urllib.request import urlopen

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text, TextType

from graph.client import ApiError, Client, Data
from graph.commands.board import Board
from graph.commands.command import CommandError
from graph.commands.operations import find_run, mutate, run_api, run_events
from graph.commands.show import (
    event_text,
    live,
    metrics_table,
    number,
    plan_panel,
    printable,
    progress_view,
    status_text,
)
from graph.commands.signals import await_input

_Result = TypeVar("_Result")

_TASK: Final = {
    "name": "Analyze Sales Data",
    "description": "Profile a year of sales, add them up, find unusual orders, and write a report with a chart.",
    "team": "playbook",
    "config": {"playbook": "analyze-sales"},
}
_QUESTION: Final = (
    "\nVersion {version}: approve ([bold green]a[/]), reject ([bold red]r[/]), or send it back with feedback "
    "([bold yellow]f[/])"
)
_REDRAWS: Final = 10  # a second
_CONNECT_SECONDS: Final = 30


class _Line(Prompt):
    """A prompt that ends at once for a signal."""

    @classmethod
    def get_input(cls, console: Console, prompt: TextType, password: bool, stream: TextIO | None = None) -> str:
        """Show the prompt, and read a line when there is one."""
        console.print(prompt, end="")
        await_input()
        return console.input()


class _Choice(_Line):
    """A prompt whose question names its answers itself."""

    illegal_choice_message = "[prompt.invalid.choice]Answer a, r or f"

    def __init__(self, question: TextType, **options: Any) -> None:
        super().__init__(question, **{**options, "choices": ["a", "r", "f"]})
        self.show_choices = self.show_default = False


class Story:
    """One task and one run of it, from creation to report.

    Args:
        client: Of the server.
        console: Where to tell it.
        runner: Runs what speaks to the API. It is idle while a person is asked, and no connection is open then: we
            subscribe again after the last event that was seen, as any client may.
        interactive: Whether there is a person to ask; otherwise the plan is approved.
    """

    def __init__(self, client: Client, console: Console, runner: asyncio.Runner, *, interactive: bool) -> None:
        self._client = client
        self._console = console
        self._runner = runner
        self._interactive = interactive
        self._board = Board()
        self._seen: str | None = None
        self.run_id = ""

    def tell(self, database: str) -> bool:
        """Tell everything and return whether the run completed.

        Args:
            database: Where the server keeps everything, for people to know.

        Raises:
            CommandError: The server refused something, or can't be reached.
        """
        self._say("Server", self._client.url, database)
        self._create()
        while True:
            self._api(self._follow())
            if self._board.ended:
                break
            self._decide()
        self._conclude()
        return self._board.status == "COMPLETED"

    def _create(self) -> None:
        task = self._api(mutate(self._client, "createTask", _TASK))["task"]
        self._say("createTask", task["name"], task["id"])
        run = self._api(mutate(self._client, "createRun", {"taskId": task["id"]}))["run"]
        self._say("createRun", f"run {run['number']}", run["id"])
        self.run_id = run["id"]
        self._say("runEvents", "every event as it arrives over our own WebSocket", "")
        self._console.print()

    async def _follow(self) -> None:
        """Show events until a person is asked or the run has ended."""
        view = Live(console=self._console, refresh_per_second=_REDRAWS, transient=True)
        events = run_events(self._client, self.run_id, self._seen, self._on_cut)
        async with aclosing(events):
            with view if live(self._console) else nullcontext():
                async for event in events:
                    self._seen = event["cursor"]
                    self._board.apply(event)
                    self._console.print(event_text(event))
                    if self._board.status == "RUNNING":
                        view.update(progress_view(self._board))
                    if event["type"] == "APPROVAL_REQUIRED":
                        return

    def _on_cut(self, error: ApiError) -> None:
        self._console.print(Text(f"{error} Trying again.", style="yellow"))

    def _decide(self) -> None:
        """Show the plan and pass on what is decided about it, until the server takes a decision or needs none."""
        run = self._api(find_run(self._client, self.run_id))
        self._console.print()
        self._console.print(plan_panel(run["plan"]))
        while run["status"] == "AWAITING_APPROVAL":
            field, values = self._ask(run["plan"]["version"]) if self._interactive else ("approveRun", {})
            version = {"runId": self.run_id, "planVersion": run["plan"]["version"]}
            try:
                self._api(mutate(self._client, field, {**version, **values}))
                break
            except CommandError as refusal:
                self._console.print(Text(str(refusal), style="red"))
            run = self._api(find_run(self._client, self.run_id))
        self._console.print()

    def _ask(self, version: int) -> tuple[str, Data]:
        """Return the mutation that a person chose, and its input."""
        question = Text.from_markup(_QUESTION.format(version=version))
        try:
            match _Choice.ask(question, console=self._console, default="a"):
                case "f":
                    return "requestPlanChanges", {"feedback": _Line.ask("Feedback", console=self._console)}
                case choice:
                    return "approveRun", {"approved": choice == "a"}
        except EOFError:
            raise KeyboardInterrupt from None

    def _conclude(self) -> None:
        run = self._api(find_run(self._client, self.run_id))
        self._console.print()
        status = status_text(run["status"])
        self._console.print(Text.assemble("The run is ", status, f" after {self._board.seconds:.1f} s."))
        if run["failure"]:
            self._console.print(Text(printable(run["failure"]["message"]), style="red"))
        if run["metricSummaries"]:
            self._console.print(metrics_table(run["metricSummaries"]))
        if run["artifacts"]:
            self._console.print(self._artifacts(run["artifacts"]))
        report = next((item for item in run["artifacts"] if item["mediaType"].startswith("text/markdown")), None)
        if report is not None:
            self._report(report)

    def _artifacts(self, artifacts: list[Data]) -> Table:
        rows = Table.grid(padding=(0, 2))
        rows.title, rows.title_justify, rows.title_style = "Artifacts", "left", "bold"
        for artifact in artifacts:
            link = Text(artifact["url"], style=f"cyan link {self._address(artifact)}", overflow="fold")
            rows.add_row(printable(artifact["name"]), f"{number(artifact['size'])} bytes", link)
        return rows

    def _report(self, artifact: Data) -> None:
        with urlopen(self._address(artifact), timeout=_CONNECT_SECONDS) as response:  # noqa: S310 - our own server's
            body: bytes = response.read()
        self._console.print()
        if self._console.is_terminal:
            self._console.rule(Text(printable(artifact["name"]), style="bold"))
            self._console.print(Markdown(body.decode()))
            self._console.rule()
        else:
            self._console.print(body.decode(), markup=False, soft_wrap=True)

    def _address(self, artifact: Data) -> str:
        return urljoin(f"{self._client.url}/", str(artifact["url"]))

    def _say(self, what: str, which: str, more: str) -> None:
        text = Text.assemble(("● ", "green"), (f"{what:<11}", "bold"), which, (f"  {more}" if more else "", "dim"))
        self._console.print(text)

    def _api(self, operation: Coroutine[Any, Any, _Result]) -> _Result:
        return run_api(operation, self._runner)
