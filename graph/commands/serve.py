"""`mgx serve`."""

from __future__ import annotations

import gc
from argparse import ArgumentParser, Namespace
from functools import partial

from graph.commands.command import Command, CommandError
from graph.commands.flags import add_settings
from graph.commands.prefork import run_processes
from graph.commands.process import prepare_process, run_process
from graph.schema import build_schema
from graph.serving import ListenError, listeners, serve
from graph.settings import Settings


def _run(arguments: Namespace) -> int:
    settings = prepare_process(arguments)
    announce = partial(_announce, settings)
    try:
        with listeners(settings) as places:
            works = [partial(serve, settings, place) for place in places]
            if len(works) == 1:
                return run_process(works[0](announce))
            build_schema()  # once, for all that are forked
            gc.freeze()
            return run_processes(works, announce)
    except ListenError as error:
        raise CommandError(str(error)) from error


def _announce(settings: Settings, address: str) -> None:
    graphiql = f", GraphiQL at {address}/graphiql" if settings.serves_graphiql else ""
    print(f"mgx serves at {address}{graphiql}", flush=True)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = "Each setting may also be given as the environment variable in brackets; a flag wins."
    add_settings(parser)


COMMAND = Command(add_arguments=_add_arguments, run=_run)
