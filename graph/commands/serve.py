"""`mgx serve`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from uvicorn.loops.auto import auto_loop_factory

from graph.commands.command import Command, CommandError
from graph.commands.flags import add_settings, read_settings
from graph.logs import configure_logging
from graph.serving import ListenError, serve
from graph.settings import Settings
from storage.errors import StorageError
from teams.errors import TeamSetupError

_log = logging.getLogger(__name__)

_LEFTOVER_SECONDS: Final = 3.0
"""How long what teams left running may take to end, once everything of ours is closed."""


def _run(arguments: Namespace) -> int:
    settings = read_settings(arguments)
    configure_logging(settings.log_level, settings.log_format)
    sys.path += [folder for folder in settings.team_path.split(os.pathsep) if folder]
    gc.freeze()  # what is imported by now stays; the collector need not look through it while we serve
    # What ends uvicorn in an orderly way should do so before and after it as well.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner, _leaving_in_any_case():
            runner.run(serve(settings, lambda address: _announce(address, settings)))
    except KeyboardInterrupt:
        return 0
    except (ListenError, TeamSetupError, StorageError) as error:
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
    _log.warning("a team's work does not end; the server leaves without waiting for it")
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def _announce(address: str, settings: Settings) -> None:
    graphiql = f", GraphiQL at {address}/graphiql" if settings.serves_graphiql else ""
    print(f"mgx serves at {address}{graphiql}", flush=True)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = "Each setting may also be given as the environment variable in brackets; a flag wins."
    add_settings(parser)


COMMAND = Command(add_arguments=_add_arguments, run=_run)
