"""What records name by its id comes along with them where that is wished for: of a page, or of records by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from domain.fold import RunState
from domain.model import ANONYMOUS, Run, RunStatus, Task
from domain.paging import PageRequest, Related, RunOrder, TaskOrder
from domain.rows import Rows, RowsByKey
from domain.store import RunFilter, TaskFilter
from tests.contract.world import World, run

RELATED: Final[Related] = (("task_id", frozenset({"name", "labels"})), ("retry_of", frozenset({"status"})))

LABEL: Final = "family"
"""All runs have it."""


async def _family(world: World) -> tuple[Sequence[Task], Sequence[Run]]:
    """Keep two tasks, a run of each, the second of which retries the first, and one that retries a run that is gone."""
    tasks = [await world.add_task(name=f"Task {n}", labels=(f"{n}",)) for n in range(2)]
    first = run(tasks[0], 1, status=RunStatus.FAILED, labels=(LABEL,))
    again = run(tasks[1], 1, retry_of=first.id, labels=(LABEL,))
    orphan = run(tasks[0], 2, retry_of="run_that_is_gone", labels=(LABEL,))
    async with world.store.write(ANONYMOUS) as tx:
        for each in (first, again, orphan):
            await tx.runs.insert(RunState(run=each))
    return tasks, (first, again, orphan)


def _shown(rows: Mapping[str, Any], layouts: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Return a few fields of what came along, by the id of each run."""
    of, retried = layouts["task_id"], layouts["retry_of"]
    shown = {}
    for id_, row in rows.items():
        its, before = of.record(row), retried.record(row)
        shown[id_] = (its.name, its.labels, before.id, before.id and before.status)
    return shown


async def test_it_is_each_records_own_and_null_where_there_is_none(world: World) -> None:
    _, (first, again, orphan) = await _family(world)
    expected = {
        first.id: ("Task 0", ("0",), None, None),
        again.id: ("Task 1", ("1",), first.id, RunStatus.FAILED),
        orphan.id: ("Task 0", ("0",), None, None),
    }
    async with world.store.read(ANONYMOUS) as view:
        filters = RunFilter(), RunFilter(labels=[LABEL])
        pages = [(await view.runs.page(PageRequest(related=RELATED), each, RunOrder())).items for each in filters]
        several = cast("RowsByKey[Run]", await view.runs.many(list(expected), frozenset({"number"}), RELATED))
        one = cast("RowsByKey[Run]", await view.runs.many([again.id, again.id], None, RELATED))

    for page in cast("list[Rows[Run]]", pages):
        by_id = {item.id: row for item, row in zip(page, page.rows, strict=True)}
        assert _shown(by_id, page.layout.related) == expected
    assert _shown(several.rows, several.layout.related) == expected
    assert _shown(one.rows, one.layout.related) == {again.id: expected[again.id]}
    assert one[again.id] == again


async def test_a_record_by_its_id_is_another_tenants_or_the_own(world: World) -> None:
    tasks, _ = await _family(world)
    stranger = await world.add_task(tenant="other")
    async with world.store.read(ANONYMOUS) as view:
        assert await view.tasks.many([stranger.id]) == {}
        assert await view.tasks.many(["task_that_is_gone"]) == {}
        assert await view.tasks.many([tasks[0].id]) == {tasks[0].id: tasks[0]}


async def test_documents_and_what_is_no_record_do_not_come_along(world: World) -> None:
    await _family(world)
    wishes: Related = (("task_id", frozenset({"name", "config"})), ("team", frozenset({"id"})))
    async with world.store.read(ANONYMOUS) as view:
        page = await view.runs.page(PageRequest(related=wishes), RunFilter(), RunOrder())
        tasks = await view.tasks.page(PageRequest(related=wishes), TaskFilter(), TaskOrder())

    assert not cast("Rows[Run]", page.items).layout.related
    assert not cast("Rows[Task]", tasks.items).layout.related
