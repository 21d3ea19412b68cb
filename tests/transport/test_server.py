"""What our protocols hand to the kernel, and when."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from graph.transport.server import HeadHolder

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Recorder:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def transport(recorder: Recorder) -> HeadHolder:
    return HeadHolder(cast("Any", recorder))


async def test_a_head_goes_out_with_the_body_at_once(recorder: Recorder, transport: HeadHolder) -> None:
    transport.write(HEAD)
    transport.write(b"body")
    transport.write(b"more")
    await asyncio.sleep(0)
    assert recorder.written == [HEAD + b"body", b"more"]


async def test_a_head_whose_body_is_late_goes_out_with_the_turn(recorder: Recorder, transport: HeadHolder) -> None:
    transport.write(HEAD)
    await asyncio.sleep(0)
    assert recorder.written == [HEAD]
    transport.write(b"body")
    assert recorder.written == [HEAD, b"body"]


async def test_a_head_is_not_lost_when_the_connection_closes(recorder: Recorder, transport: HeadHolder) -> None:
    transport.write(HEAD)
    transport.close()
    assert recorder.written == [HEAD]
    assert recorder.closed


async def test_everything_else_is_the_connections_own(transport: HeadHolder) -> None:
    assert transport.get_extra_info("peername") == "the peername"
