"""`mgx serve`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from graph.commands.command import Command
from graph.commands.flags import add_settings
from graph.commands.process import run_process
from graph.serving import serve
from graph.settings import Settings


def _run(arguments: Namespace) -> int:
    return run_process(arguments, lambda settings: serve(settings, lambda address: _announce(address, settings)))


def _announce(address: str, settings: Settings) -> None:
    graphiql = f", GraphiQL at {address}/graphiql" if settings.serves_graphiql else ""
    print(f"mgx serves at {address}{graphiql}", flush=True)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = "Each setting may also be given as the environment variable in brackets; a flag wins."
    add_settings(parser)


COMMAND = Command(add_arguments=_add_arguments, run=_run)
