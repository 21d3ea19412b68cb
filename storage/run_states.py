"""Plans and decisions of the runs that are being worked on, as they were last committed.

A step's event would otherwise cost reading the whole plan again. They change with the run's sequence only, so a row
that still has the sequence tells that nothing has changed, whoever wrote it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from domain.fold import RunState
from domain.model import Run

_KEPT: Final = 64
"""States; a plan has at most 1 MiB, and few runs are worked on at once."""


class RunStates:
    """Remembers the states of the runs that were committed last."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, RunState] = OrderedDict()

    def find(self, run: Run) -> RunState | None:
        """Return the state of a run whose row was just read; None when it is not known."""
        known = self._states.get(run.id)
        if known is None or known.run.last_sequence != run.last_sequence:
            return None
        return replace(known, run=run)

    def keep(self, states: Mapping[str, RunState]) -> None:
        """Remember what was committed."""
        for run_id, state in states.items():
            self._states[run_id] = state
            self._states.move_to_end(run_id)
        while len(self._states) > _KEPT:
            self._states.popitem(last=False)
