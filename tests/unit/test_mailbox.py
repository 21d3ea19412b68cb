"""What a socket waits with does what asyncio's own does."""

from __future__ import annotations

import asyncio

from graph.transport.mailbox import Gate, Mailbox


async def test_messages_are_taken_in_order() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for number in range(3):
        mailbox.put_nowait(number)
    assert [await mailbox.get() for _ in range(3)] == [0, 1, 2]
    assert mailbox.empty()


async def test_who_takes_waits_for_a_message() -> None:
    mailbox: Mailbox[str] = Mailbox()
    taking = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    assert not taking.done()
    mailbox.put_nowait("first")
    mailbox.put_nowait("second")
    assert await taking == "first"
    assert await mailbox.get() == "second"


async def test_a_message_is_not_lost_on_one_who_was_cancelled() -> None:
    mailbox: Mailbox[str] = Mailbox()
    taking = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait({taking})
    mailbox.put_nowait("message")
    assert await mailbox.get() == "message"

    taking = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    mailbox.put_nowait("another")
    taking.cancel()
    await asyncio.wait({taking})
    assert await mailbox.get() == "another"


async def test_all_who_wait_go_when_the_gate_opens() -> None:
    gate = Gate(is_open=True)
    await gate.wait()
    gate.clear()
    assert not gate.is_set()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait({waiting[0]})
    assert not any(waiter.done() for waiter in waiting[1:])
    gate.set()
    await asyncio.gather(*waiting[1:])
    assert gate.is_set()
    gate.clear()
    again = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    assert not again.done()
    gate.set()
    await again
