"""Work that a cancellation must not leave half done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Do something to its end, even when the task is cancelled meanwhile; the cancellation goes on at its next wait."""
    doing = asyncio.create_task(work)
    cancelled = False
    while not doing.done():
        try:
            await asyncio.wait({doing})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled and (task := asyncio.current_task()) is not None:
        task.uncancel()  # the same cancellation, not a second one: asyncio.timeout counts them
        task.cancel()
    return doing.result()
