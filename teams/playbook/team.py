"""The team `playbook`: runs the operator's lists of commands with parameters that clients choose."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Final

from domain.errors import InvalidInputError, TeamError
from domain.model import JsonObject, JsonValue
from domain.ports import ExecutionContext, PlanContext
from domain.signals import LineSaid, Signal, StepFailed
from teams.errors import TeamSetupError
from teams.playbook.execution import StepRun, environment
from teams.playbook.format import Playbook, PlaybookError
from teams.playbook.library import Library
from teams.playbook.parameters import schema_of
from teams.playbook.planning import StepSpec, draft, settle
from teams.playbook.workspace import workspace

DEFAULT_PLAYBOOK: Final = "analyze-sales"

_log: Final = logging.getLogger(__name__)


class Playbooks:
    """Makes `playbook` teams.

    Args:
        folder: The operator's playbooks, beside the packaged ones; None when there are none.
        default: The playbook of a config that names none.
        environment: The server's environment variables, of which commands see what their playbook lists.

    Raises:
        TeamSetupError: The folder is not there, or the default playbook is missing or unusable.
    """

    description = "Runs a playbook: a fixed list of commands of the operator's, with parameters."

    def __init__(
        self,
        *,
        folder: Path | None = None,
        default: str = DEFAULT_PLAYBOOK,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._library = Library(folder)
        self._default = default
        self._environment = environment or {}
        try:
            if self._library.find(default) is None:
                known = ", ".join(self._library.names())
                raise TeamSetupError(f"There is no playbook {default!r} to be the default; there are: {known}.")
        except PlaybookError as error:
            raise TeamSetupError(f"The default playbook {default!r} can't be used: {error}") from error

    @property
    def config_schema(self) -> JsonObject:
        """JSON Schema of a config, with the parameters of each playbook that is there now."""
        names = self._library.names()
        rules: list[JsonValue] = [self._rule(name, schema) for name in names if (schema := self._parameters(name))]
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "playbook": {"type": "string", "enum": [*names], "default": self._default},
                "parameters": {"type": "object", "default": {}},
            },
            **({"allOf": rules} if rules else {}),
        }

    def validate(self, config: JsonObject) -> None:
        """Check a config by the playbook that it names.

        Raises:
            InvalidInputError: The playbook is unusable, or a parameter is refused; the path leads to it.
        """
        self.settle(config)

    def __call__(self, config: JsonObject) -> PlaybookTeam:
        """Make a team for one phase of a run."""
        return PlaybookTeam(self, config)

    def settle(self, config: JsonObject) -> tuple[Playbook, dict[str, JsonValue]]:
        """Return the playbook that a config names, as its file says now, and the value of each of its parameters.

        Raises:
            InvalidInputError: See `validate`.
        """
        name = str(config.get("playbook", self._default))
        try:
            playbook = self._library.find(name)
        except PlaybookError as error:
            raise InvalidInputError(
                f"The playbook {name!r} can't be used until the operator mends its file: {error.problems[0]}",
                path=("config", "playbook"),
            ) from error
        if playbook is None:
            known = ", ".join(self._library.names())
            raise InvalidInputError(f"There is no playbook {name!r}; there are: {known}.", path=("config", "playbook"))
        return playbook, settle(playbook, config.get("parameters", {}))

    def folder(self, name: str) -> Path | None:
        """Return where the files of a playbook lie, None when it is gone."""
        return self._library.folder(name)

    def environment(self, spec: StepSpec, **extra: str) -> dict[str, str]:
        """Return the environment of a step's command."""
        return environment(self._environment, spec, **extra)

    def _parameters(self, name: str) -> JsonObject | None:
        """Return the schema of a playbook's parameters, None when its file can't be used."""
        try:
            playbook = self._library.find(name)
        except PlaybookError as error:
            _log.warning("The playbook %r can't be used: %s", name, error)
            return None
        return None if playbook is None else schema_of(playbook.parameters)

    def _rule(self, name: str, parameters: JsonObject) -> JsonObject:
        chosen: JsonObject = {"properties": {"playbook": {"const": name}}}
        if name != self._default:
            chosen["required"] = ["playbook"]
        return {"if": chosen, "then": {"properties": {"parameters": parameters}}}


class PlaybookTeam:
    """One playbook with one set of parameters."""

    def __init__(self, playbooks: Playbooks, config: JsonObject) -> None:
        self._playbooks = playbooks
        self._config = config

    async def plan(self, context: PlanContext, /) -> AsyncIterator[Signal]:
        """Propose the playbook's steps, each with the command that will run and the digests of its files."""
        try:
            playbook, values = await asyncio.to_thread(self._playbooks.settle, self._config)
        except InvalidInputError as error:
            raise TeamError(error.message, code="CONFIG_REFUSED") from error
        yield LineSaid(message=f"The playbook {playbook.name!r} has {len(playbook.steps)} steps.")
        yield await asyncio.to_thread(draft, playbook, values, context.rounds)

    async def execute(self, context: ExecutionContext, /) -> AsyncIterator[Signal]:
        """Run the commands of the approved plan that are not done, until one fails."""
        folder = self._playbooks.folder(str(context.plan.spec.get("playbook")))
        async with workspace(folder, context.artifacts) as place:
            for step in context.plan.steps:
                if step.status.is_final:
                    continue
                spec = StepSpec.of(step)
                env = self._playbooks.environment(
                    spec, MGX_RUN_ID=context.run.id, MGX_IDEMPOTENCY_KEY=context.idempotency_key(step.key)
                )
                async with aclosing(StepRun(step.key, spec, place, env).signals()) as signals:
                    async for said in signals:
                        yield said
                        if isinstance(said, StepFailed):
                            return
