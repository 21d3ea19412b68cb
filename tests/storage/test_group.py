"""Short transactions that wait for one another's turn are committed together, and each stands for itself."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text

from domain.errors import StoreBusyError, StoreError, StoreFullError
from domain.events import Event, EventType
from domain.model import ANONYMOUS
from domain.store import Store, WriteTx
from storage import group
from storage.store import SqliteSettings
from storage.transactions import SqlWriteTx
from tests.contract.world import task, task_event
from tests.storage.files import opened

NAMES: Final = ("one", "two", "three")
NORMAL: Final = SqliteSettings(synchronous="NORMAL")


@dataclass
class Place:
    """A store, and what was told of it.

    Attributes:
        told: For each commit that was told: the messages of its events, and those that others saw by then.
    """

    path: Path
    told: list[tuple[list[str], list[str]]] = field(default_factory=list)
    store: Store = field(init=False)

    def tell(self, events: Sequence[Event]) -> None:
        self.told.append(([event.message for event in events], self.visible()))

    def visible(self) -> list[str]:
        """Return the messages in the log, in its order, as another process sees them."""
        with closing(sqlite3.connect(self.path)) as connection:
            rows = connection.execute("SELECT pos, message FROM events ORDER BY pos").fetchall()
        assert [pos for pos, _ in rows] == list(range(1, len(rows) + 1))
        return [message for _, message in rows]

    async def write(
        self,
        message: str,
        *,
        short: bool = True,
        type_: EventType = EventType.LOG,
        do: Callable[[WriteTx], Awaitable[object]] | None = None,
    ) -> None:
        """Add a task with one event, after doing something else in the same transaction."""
        made = task(name=message)
        async with self.store.write(ANONYMOUS, short=short) as tx:
            await tx.tasks.insert(made)
            await tx.events.append([task_event(made, message=message, type=type_)])
            if do is not None:
                await do(tx)

    async def together(self, *writers: Awaitable[None]) -> list[BaseException | None]:
        """Let writers wait for their turn, in this order, while another one writes; return how each ended."""
        held, go_on = asyncio.Event(), asyncio.Event()

        async def hold(_: WriteTx) -> None:
            held.set()
            await go_on.wait()

        holder = asyncio.create_task(self.write("held", short=False, do=hold))
        await held.wait()
        waiting = [asyncio.ensure_future(writer) for writer in writers]
        await asyncio.sleep(0)
        go_on.set()
        await holder
        return await asyncio.gather(*waiting, return_exceptions=True)


async def violate(tx: WriteTx) -> None:
    """Break a rule that is looked at in the commit."""
    assert isinstance(tx, SqlWriteTx)
    await tx.execute(text("PRAGMA defer_foreign_keys = ON"), {})
    await tx.execute(text("INSERT INTO run_labels VALUES ('default', 'x', 0, 'none')"), {})


async def refuse(_: WriteTx) -> None:
    raise LookupError("refused")


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(group, "LONGEST", 60.0)
    made = Place(tmp_path / "mgx.db")
    async with opened(made.path, NORMAL, made.tell) as made.store:
        yield made


async def test_those_that_wait_are_committed_together_and_told_one_by_one_in_their_order(place: Place) -> None:
    assert await place.together(*map(place.write, NAMES)) == [None] * 3
    everything = ["held", *NAMES]
    assert place.told == [(["held"], ["held"]), *(([name], everything) for name in NAMES)]


async def test_one_alone_waits_for_nobody(place: Place) -> None:
    for name in NAMES:
        await place.write(name)
    assert place.told == [([name], list(NAMES[: number + 1])) for number, name in enumerate(NAMES)]


async def test_a_decision_is_committed_at_once_with_what_came_before_it(place: Place) -> None:
    ends = [place.write("one"), place.write("two", type_=EventType.APPROVED), place.write("three")]
    assert await place.together(*ends) == [None] * 3
    assert place.told[1:] == [
        (["one"], ["held", "one", "two"]),
        (["two"], ["held", "one", "two"]),
        (["three"], ["held", "one", "two", "three"]),
    ]


async def test_what_is_not_short_is_committed_alone_and_after_what_came_before_it(place: Place) -> None:
    ends = [place.write("one"), place.write("two", short=False), place.write("three")]
    assert await place.together(*ends) == [None] * 3
    assert [seen for _, seen in place.told[1:]] == [["held", *NAMES[:number]] for number in (1, 2, 3)]


async def test_no_more_are_committed_together_than_a_limit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_PARTS", 2)
    assert await place.together(*map(place.write, NAMES)) == [None] * 3
    assert [len(seen) for _, seen in place.told] == [1, 3, 3, 4]


async def test_a_group_that_takes_long_takes_in_nobody_else(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "LONGEST", 0.0)
    assert await place.together(*map(place.write, NAMES)) == [None] * 3
    assert [len(seen) for _, seen in place.told] == [1, 2, 3, 4]


@pytest.mark.parametrize("at", range(3))
async def test_one_that_gives_up_takes_back_its_own_part_and_hears_of_it_after_the_commit(
    place: Place, at: int
) -> None:
    heard: list[list[str]] = []

    async def write(name: str, *, refused: bool) -> None:
        try:
            await place.write(name, do=refuse if refused else None)
        except LookupError:
            heard.append(place.visible())
            raise

    ends = await place.together(*(write(name, refused=number == at) for number, name in enumerate(NAMES)))
    assert [str(end) for end in ends] == ["refused" if number == at else "None" for number in range(3)]
    rest = ["held", *(name for number, name in enumerate(NAMES) if number != at)]
    assert place.visible() == rest
    assert [told for told, _ in place.told] == [[name] for name in rest]
    assert heard == [rest] if at else heard in ([["held"]], [rest])


async def test_a_statement_that_fails_costs_nobody_else_anything(place: Place) -> None:
    made = task()

    async def add(tx: WriteTx) -> None:
        await tx.tasks.insert(made)

    ends = await place.together(place.write("one", do=add), place.write("two", do=add), place.write("three"))
    assert [type(end) for end in ends] == [type(None), sqlite3.IntegrityError, type(None)]
    assert place.visible() == ["held", "one", "three"]


async def test_a_commit_that_fails_fails_for_all_and_nothing_is_told(place: Place) -> None:
    ends = await place.together(place.write("one"), place.write("two", do=violate), place.write("three"))
    assert [type(end) for end in ends] == [sqlite3.IntegrityError] * 3
    assert [told for told, _ in place.told] == [["held"]]
    await place.write("four")
    assert place.visible() == ["held", "four"]


async def test_a_refusal_is_not_heard_when_what_it_saw_was_not_committed(place: Place) -> None:
    ends = await place.together(place.write("one", do=violate), place.write("two", do=refuse))
    assert [type(end) for end in ends] == [sqlite3.IntegrityError] * 2


async def test_when_the_database_takes_everything_back_all_hear_of_it(place: Place) -> None:
    async def lose(tx: WriteTx) -> None:
        assert isinstance(tx, SqlWriteTx)
        await tx.execute(text("ROLLBACK"), {})
        raise LookupError("lost")

    ends = await place.together(place.write("one"), place.write("two", do=lose), place.write("three"))
    assert [type(end) for end in ends] == [StoreBusyError, StoreBusyError, type(None)]
    assert place.visible() == ["held", "three"]


async def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    place = Place(tmp_path / "mgx.db")
    async with opened(place.path):
        pass
    with closing(sqlite3.connect(place.path)) as connection:
        ((pages,),) = connection.execute("PRAGMA page_count")
    settings = SqliteSettings(synchronous="NORMAL", max_pages=pages + 20)
    done: list[str] = []

    async def write(name: str) -> None:
        await place.write(name + "x" * 2000)
        done.append(name + "x" * 2000)

    async with opened(place.path, settings, place.tell) as place.store:
        ends: list[BaseException | None] = []
        while not any(isinstance(end, StoreFullError) for end in ends):
            ends = await asyncio.gather(*(write(str(number)) for number in range(8)), return_exceptions=True)
        assert all(end is None or isinstance(end, StoreError) for end in ends)
        assert place.visible() == [message for (message,), _ in place.told]
        assert sorted(done) == sorted(place.visible())


@pytest.mark.parametrize("at", range(3))
async def test_one_that_is_cancelled_while_it_waits_is_left_out(place: Place, at: int) -> None:
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: WriteTx) -> None:
        held.set()
        await go_on.wait()

    holder = asyncio.create_task(place.write("held", do=hold))
    await held.wait()
    waiting = [asyncio.create_task(place.write(name)) for name in NAMES]
    await asyncio.sleep(0)
    waiting[at].cancel()
    go_on.set()
    await asyncio.wait([holder, *waiting])
    assert [writer.cancelled() for writer in waiting] == [number == at for number in range(3)]
    assert place.visible() == ["held", *(name for number, name in enumerate(NAMES) if number != at)]


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("count", [1, 3])
async def test_one_that_is_cancelled_when_its_turn_has_come_lets_the_others_go_on(
    place: Place, short: bool, count: int
) -> None:
    waiting: list[asyncio.Task[None]] = []

    async def cancel_next(_: WriteTx) -> None:
        waiting.extend(asyncio.create_task(place.write(name)) for name in NAMES[:count])
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(waiting[0].cancel)

    await place.write("held", short=short, do=cancel_next)
    await asyncio.wait(waiting)
    assert [writer.cancelled() for writer in waiting] == [True, False, False][:count]
    assert place.visible() == ["held", "two", "three"][:count]


@pytest.mark.parametrize("last", [False, True])
async def test_one_that_is_cancelled_while_it_writes_takes_back_its_part_and_the_others_are_committed(
    place: Place, last: bool
) -> None:
    async def end(_: WriteTx) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    more = () if last else (place.write("three"),)
    ends = await place.together(place.write("one"), place.write("two", do=end), *more)
    assert isinstance(ends[1], asyncio.CancelledError)
    assert place.visible() == ["held", "one", *([] if last else ["three"])]


async def test_one_that_is_cancelled_when_it_has_written_is_committed_and_told(place: Place) -> None:
    first: list[asyncio.Task[None] | None] = []

    async def cancel_first(_: WriteTx) -> None:
        assert first[0] is not None
        first[0].cancel()

    async def write() -> None:
        first.append(asyncio.current_task())
        await place.write("one")
        await asyncio.sleep(0)

    ends = await place.together(write(), place.write("two", do=cancel_first))
    assert isinstance(ends[0], asyncio.CancelledError)
    assert ends[1] is None
    assert [told for told, _ in place.told] == [["held"], ["one"], ["two"]]


async def test_each_is_told_in_its_own_context(place: Place) -> None:
    name: ContextVar[str] = ContextVar("name")
    told: list[str] = []

    async def write(own: str) -> None:
        name.set(own)

        async def ask(tx: WriteTx) -> None:
            tx.after_commit(lambda: told.append(name.get()))

        await place.write(own, do=ask)

    await place.together(*map(write, NAMES))
    assert told == list(NAMES)


async def test_one_sees_what_the_one_before_it_wrote(place: Place) -> None:
    made = task()
    found: list[object] = []

    async def add(tx: WriteTx) -> None:
        await tx.tasks.insert(made)

    async def look(tx: WriteTx) -> None:
        found.append(await tx.tasks.lock(made.id))

    await place.together(place.write("one", do=add), place.write("two", do=look))
    assert found == [made]


async def test_another_process_that_has_the_database_is_waited_for(tmp_path: Path) -> None:
    place = Place(tmp_path / "mgx.db")
    async with opened(place.path, SqliteSettings(synchronous="NORMAL", busy_timeout=0.05), place.tell) as place.store:
        with closing(sqlite3.connect(place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusyError):
                await place.write("one")
            other.execute("ROLLBACK")
        await place.write("two")
    patient = SqliteSettings(synchronous="NORMAL", busy_timeout=60)
    async with opened(place.path, patient, place.tell) as place.store:
        with closing(sqlite3.connect(place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writer = asyncio.create_task(place.write("three"))
            await asyncio.sleep(0)  # the loop is free meanwhile
            other.execute("ROLLBACK")
            await writer
    assert place.visible() == ["two", "three"]


_WRITERS: Final = """
import asyncio, sys
from pathlib import Path
from tests.storage.test_group import Place
from tests.storage.files import opened

async def write(place, writer):
    for number in range(1_000_000):
        await place.write(f"{writer}.{number}")
        print(f"{writer}.{number}", flush=True)

async def main(path):
    place = Place(path)
    async with opened(path) as place.store:
        await asyncio.gather(*(write(place, writer) for writer in range(8)))

asyncio.run(main(Path(sys.argv[1])))
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    place = Place(tmp_path / "mgx.db")
    with subprocess.Popen([sys.executable, "-c", _WRITERS, place.path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        done = [process.stdout.readline().strip() for _ in range(200)]
        process.kill()
        done += [line.strip() for line in process.stdout if line.endswith("\n")]
    kept = place.visible()
    assert set(done) <= set(kept)
    assert len(kept) <= len(done) + 8
