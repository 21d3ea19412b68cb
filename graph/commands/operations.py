"""What our commands ask of the API, and how its answers and refusals reach them."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

from graph.client import ApiError, Client, Data
from graph.commands.command import CommandError
from graph.commands.signals import attentively
from graph.own_operations import MUTATIONS, RUN, RUN_EVENTS
from graph.settings import ClientSettings

_Result = TypeVar("_Result")


async def mutate(client: Client, field: str, values: Data) -> Data:
    """Run a mutation that takes one input and return its payload.

    Args:
        client: Of the server.
        field: Of the root, one of `graph.own_operations.MUTATIONS`.
        values: Of the input; None leaves a field out.

    Raises:
        CommandError: The server refused, with the messages of its `userErrors`.
        ApiError: The API can't be used.
    """
    given = {key: value for key, value in values.items() if value is not None}
    payload: Data = (await client.execute(MUTATIONS[field], {"input": given}))[field]
    if payload["userErrors"]:
        raise CommandError(" ".join(error["message"] for error in payload["userErrors"]))
    return payload


def run_events(
    client: Client, run_id: str, after: str | None = None, on_cut: Callable[[ApiError], None] = lambda _: None
) -> AsyncGenerator[Data]:
    """Yield a run's events to its end, whatever becomes of the connection; see `Client.follow`."""
    return client.follow(RUN_EVENTS, {"runId": run_id, "after": after}, "runEvents", on_cut)


async def find_run(client: Client, run_id: str) -> Data:
    """Return a run with its plan, metrics and artifacts.

    Raises:
        CommandError: There is no such run.
        ApiError: The API can't be used.
    """
    run: Data | None = (await client.execute(RUN, {"runId": run_id}))["run"]
    if run is None:
        raise CommandError(f"There is no run with the id {run_id!r}.")
    return run


def add_url(parser: ArgumentParser) -> None:
    """Declare `--url`."""
    default = ClientSettings.model_fields["url"].default
    parser.add_argument("--url", metavar="URL", help=f"address of the server [MGX_URL, default {default}]")


def client(arguments: Namespace) -> Client:
    """Make a client of the server that the flags or the environment name.

    Raises:
        CommandError: That is no address.
    """
    try:
        return Client(arguments.url or ClientSettings().url)
    except ApiError as error:
        raise CommandError(str(error), exit_code=2) from error


def run_api(operation: Coroutine[Any, Any, _Result], runner: asyncio.Runner | None = None) -> _Result:
    """Run what speaks to the API.

    Raises:
        CommandError: Instead of an `ApiError`.
    """
    try:
        return (runner.run if runner else asyncio.run)(attentively(operation))
    except ApiError as error:
        raise CommandError(str(error)) from error
