"""A clock that is set back: what was promised holds, and waits last longer."""

from __future__ import annotations

from domain import commands as c
from domain.fold import replay
from domain.model import RunStatus

from .lives import APPROVE, CLAIM, at, blank

HOUR = 3600


def test_a_run_completes_though_the_clock_is_set_back_while_it_waits() -> None:
    life = at(RunStatus.AWAITING_APPROVAL)

    life.do(c.Expire(), after=-HOUR)
    assert life.run.status is RunStatus.AWAITING_APPROVAL, "the deadline is a time of day"
    life.do(APPROVE, CLAIM)
    for key in "abc":
        life.do(c.StartStep(key=key), c.FinishStep(key=key))
    life.do(c.Finish(results="done"))

    assert (life.run.status, life.run.duration) == (RunStatus.COMPLETED, 0.0)
    assert [event.sequence for event in life.log] == list(range(1, len(life.log) + 1))
    assert replay(blank(), life.log).run.duration == 0.0
