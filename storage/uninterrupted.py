"""Work that a cancellation must not leave half done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Do something to its end, even when the task is cancelled meanwhile; the cancellation goes on at its next wait."""
    return await settled(asyncio.create_task(work))


async def settled(future: asyncio.Future[T]) -> T:
    """Wait for a result, even when the task is cancelled meanwhile; the cancellation goes on at its next wait."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError:
            cancelled = True
        except Exception:  # noqa: S110  # result() raises it
            pass
    if cancelled and (task := asyncio.current_task()) is not None:
        task.uncancel()  # the same cancellation, not a second one: asyncio.timeout counts them
        task.cancel()
    return future.result()
