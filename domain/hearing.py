"""What teams say, made fit to be recorded: nothing but signals, values as JSON, texts within their limit."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from domain import commands as c
from domain import signals as s
from domain import validation as check
from domain.codec import to_json
from domain.errors import InvalidInputError, InvalidSignalError, TeamError
from domain.model import JsonValue, LogLevel

logger = logging.getLogger(__name__)

MAX_LINE_BYTES: Final = 8 * 1024
"""UTF-8 bytes that are kept of a log line or an error."""


_MEDIA_TYPE: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:; ?[\w-]+=[\w.-]+)*", re.ASCII)


async def next_signal(stream: AsyncIterator[object]) -> s.Signal:
    """Wait for what a team says next; raises as `signal_of` and as the team does, and StopAsyncIteration at its end."""
    with _unable_to_exit():
        return signal_of(await anext(stream))


async def end_talk(stream: AsyncIterator[object], pending: asyncio.Task[s.Signal] | None) -> None:
    """End a team's generator: where it stands it is cancelled, and may clean up.

    Args:
        stream: What it says.
        pending: The wait for what it says next, if that was begun.
    """
    if pending is not None and not pending.done():
        pending.cancel()
        await asyncio.wait({pending})
    if pending is not None and not pending.cancelled():
        pending.exception()
    close = getattr(stream, "aclose", None)
    if close is not None:
        try:
            with _unable_to_exit():
                await close()
        except (Exception, asyncio.CancelledError):
            logger.warning("a team failed while it was closed", exc_info=True)


def signal_of(said: object) -> s.Signal:
    """Return what a team said if it is a signal, and one that can be written.

    Raises:
        InvalidSignalError: It is none, or a line or a file is malformed.
    """
    if not isinstance(said, s.Signal):
        raise InvalidSignalError(f"The team said a {type(said).__name__}, which is no signal.")
    match said:
        case s.LineSaid():
            _check_line(said)
        case s.LinesSaid():
            for line in said.lines:
                _check_line(line)
        case s.ArtifactMade():
            _check_artifact(said)
        case _:
            pass
    return said


def plain(value: object) -> JsonValue:
    """Return a value as JSON values.

    Raises:
        InvalidSignalError: JSON has no form for it.
    """
    try:
        return to_json(value)
    except (TypeError, ValueError) as error:
        raise InvalidSignalError(f"The team said something that JSON has no form for: {error}.") from error


def cut(text: str) -> str:
    """Cut a text to its limit at a character's border; what UTF-8 has no form for becomes a question mark."""
    if text.isascii():
        return text[:MAX_LINE_BYTES]
    return text.encode(errors="replace")[:MAX_LINE_BYTES].decode(errors="ignore")


def overhear(command: c.WorkerCommand) -> str:
    """Say what a team reported after its run was to be cancelled: kept as a line, never as a state."""
    said = json.dumps(plain(command), ensure_ascii=False)
    return f"After the cancel request the team reported {type(command).__name__}: {said}"


@contextmanager
def _unable_to_exit() -> Iterator[None]:
    """Turn a team's `sys.exit()` into its failure: asyncio would end the process for it, with everyone's runs."""
    try:
        yield
    except (Exception, asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise TeamError(f"The team raised {type(error).__name__}: {error}") from error


def _check_line(line: s.LineSaid) -> None:
    given: tuple[object, object, object] = (line.message, line.level, line.step)
    match given:
        case str(), LogLevel(), str() | None:
            pass
        case _:
            raise InvalidSignalError(f"The team said a line that can't be kept: {line!r:.200}.")
    if line.timestamp is not None and line.timestamp.utcoffset() is None:
        raise InvalidSignalError("The team said a line whose time has no offset from UTC.")


def _check_artifact(made: s.ArtifactMade) -> None:
    """Check a file; its name and media type go into headers of HTTP."""
    content: object = made.content
    if not isinstance(content, bytes):
        raise InvalidSignalError(f"The team made an artifact of {type(content).__name__}; its content must be bytes.")
    try:
        check.text(made.name, "name", minimum=1, maximum=check.MAX_NAME)
    except (InvalidInputError, AttributeError, TypeError) as error:
        raise InvalidSignalError(f"The team made an artifact whose name can't be kept: {error}") from error
    if not _MEDIA_TYPE.fullmatch(made.media_type):
        raise InvalidSignalError(f"{made.media_type!r:.200} is no media type of an artifact.")
