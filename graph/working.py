"""Working on runs beside other processes, without serving an API."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Collection

from graph.backend import open_backend
from graph.settings import Settings
from teams.errors import TeamSetupError

_log = logging.getLogger(__name__)


async def work(settings: Settings, teams: Collection[str] | None, announce: Callable[[], None]) -> None:
    """Work on runs until SIGTERM or SIGINT.

    Args:
        settings: Whose runs, and how.
        teams: Names of the teams whose runs are taken; None takes any.
        announce: Called once, when runs are taken.

    Raises:
        TeamSetupError: A team can't be registered, or one that is asked for is not.
        StorageError: See `graph.backend.open_backend`.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    slots = settings.max_concurrent_runs
    async with open_backend(settings, lambda _: None, slots=slots, teams=teams, shared=True) as backend:
        known = {team.name for team in backend.teams.describe()}
        if unknown := sorted(set(teams or ()) - known):
            raise TeamSetupError(f"There is no team {unknown[0]!r}; there are {', '.join(sorted(known))}.")
        async with backend.engine.serve(backend.work, backend.executor):
            announce()
            _log.info("%s takes runs, %d at once", backend.instance, slots)
            await ending.wait()
            _log.info("%s hands its runs over", backend.instance)
