"""`mgx worker`."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from typing import Final

from graph.commands.command import Command
from graph.commands.flags import add_settings
from graph.commands.process import prepare_process, run_process
from graph.working import work

_SETTINGS: Final = frozenset(
    {
        *("database_url", "database_pool_size", "bus_url", "lease", "shutdown_grace", "cancel_grace", "team_timeout"),
        *("teams", "team_path", "playbooks", "default_playbook", "max_artifact_bytes", "max_run_artifact_bytes"),
        *("log_level", "log_format", "traces"),
    }
)


def _run(arguments: Namespace) -> int:
    queues = tuple(name for name in (part.strip() for part in arguments.queues.split(",")) if name)
    settings = prepare_process(arguments)
    return run_process(work(settings, queues or None, lambda: _announce(queues)))


def _announce(queues: tuple[str, ...]) -> None:
    print(f"mgx works on runs of {', '.join(queues) or 'all teams'}", flush=True)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.description = (
        "Execute runs of a database in PostgreSQL, beside servers and other workers, until SIGTERM or Ctrl-C; runs "
        "under way are then handed over. The queue of a run has the name of its team."
    )
    parser.epilog = "Each setting may also be given as the environment variable in brackets; a flag wins."
    add_settings(parser, only=_SETTINGS)
    parser.usage = "%(prog)s [--concurrency N] [--queues TEAM,...] [SETTING ...]"
    parser.add_argument(
        "--concurrency",
        dest="max_concurrent_runs",
        default=SUPPRESS,
        metavar="N",
        help="Runs worked on at once; the rest wait. [MGX_MAX_CONCURRENT_RUNS, default 8]",
    )
    parser.add_argument(
        "--queues", default="", metavar="TEAM,...", help="Teams whose runs are taken, with commas; all by default."
    )


COMMAND: Final = Command(add_arguments=_add_arguments, run=_run)
