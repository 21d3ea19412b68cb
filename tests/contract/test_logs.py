"""Lines of a run's log, by level and step."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.model import ANONYMOUS, LogLevel, LogLine
from domain.paging import PageRequest
from domain.store import LogFilter
from tests.contract.world import World
from tests.unit.strategies import record

LEVELS = list(LogLevel)


async def _read(world: World, run_id: str, filter_: LogFilter) -> list[LogLine]:
    async with world.store.read(ANONYMOUS) as view:
        page = (await view.runs.logs([run_id], PageRequest(limit=100, count=True), filter_))[run_id]
    assert page.total == len(page.items)
    return list(page.items)


def _is_numbered(line: LogLine) -> bool:
    return line.number >= 1


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(record(LogLine).filter(_is_numbered), max_size=6, unique_by=lambda line: line.number))
async def test_lines_are_read_as_they_were_written_from_a_level_up_and_of_one_step(
    world: World, lines: Collection[LogLine]
) -> None:
    run = (await world.add_run(await world.add_task())).run
    await world.keep_lines(run, *lines)

    in_order = sorted(lines, key=lambda line: line.number)
    for least in LogLevel:
        loud = [line for line in in_order if LEVELS.index(line.level) >= LEVELS.index(least)]
        assert await _read(world, run.id, LogFilter(min_level=least)) == loud
        for step in {line.step for line in lines if line.step is not None}:
            of_step = [line for line in loud if line.step == step]
            assert await _read(world, run.id, LogFilter(min_level=least, step=step)) == of_step


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_each_run_has_its_own_lines(world: World, count: int) -> None:
    of = await world.add_task()
    one, other = [(await world.add_run(of, number)).run for number in (1, 2)]
    lines = [LogLine(number=n + 1, level=LogLevel.INFO, message=str(n), timestamp=of.created_at) for n in range(count)]
    await world.keep_lines(one, *lines)

    async with world.store.read(ANONYMOUS) as view:
        pages = await view.runs.logs([one.id, other.id], PageRequest(limit=2, count=True), LogFilter())
        assert await view.runs.logs([], PageRequest(), LogFilter()) == {}
    assert (pages[one.id].items, pages[one.id].total, pages[one.id].has_next) == (lines[:2], count, count > 2)
    assert (pages[other.id].items, pages[other.id].total) == ([], 0)
