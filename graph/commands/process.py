"""How a process of ours runs until it is told to end, and then ends in any case."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Final

from uvicorn.loops.auto import auto_loop_factory

from graph.commands.command import CommandError
from graph.commands.flags import read_settings
from graph.logs import configure_logging
from graph.settings import Settings
from graph.trusted import ManifestError
from storage.errors import StorageError
from teams.errors import TeamSetupError

_log = logging.getLogger(__name__)

_LEFTOVER_SECONDS: Final = 3.0
"""How long what teams left running may take to end, once everything of ours is closed."""


def prepare_process(arguments: Namespace) -> Settings:
    """Read the settings, and make this process as they want it.

    Raises:
        CommandError: They are not possible.
    """
    settings = read_settings(arguments)
    configure_logging(settings.log_level, settings.log_format)
    sys.path += [folder for folder in settings.team_path.split(os.pathsep) if folder]
    gc.freeze()  # what is imported by now stays; the collector need not look through it while we work
    return settings


def run_process(work: Coroutine[None, None, None]) -> int:
    """Do something until SIGTERM or SIGINT, in a process that is prepared; return the exit code.

    Raises:
        CommandError: It can't begin.
    """
    # What ends a process in an orderly way should do so before and after its work as well.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner, _leaving_in_any_case():
            runner.run(work)
    except KeyboardInterrupt:
        return 0
    except ManifestError as error:
        raise CommandError(str(error), exit_code=2) from error
    except (TeamSetupError, StorageError) as error:
        raise CommandError(str(error)) from error
    return 0


@contextmanager
def _leaving_in_any_case() -> Generator[None]:
    """End the process soon after the block, also when a team's task ignores its cancel or its thread goes on."""
    try:
        yield
    finally:
        timer = threading.Timer(_LEFTOVER_SECONDS, _leave)
        timer.daemon = True
        timer.start()


def _leave() -> None:
    _log.warning("a team's work does not end; the process leaves without waiting for it")
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
