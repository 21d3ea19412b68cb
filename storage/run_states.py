"""Plans and decisions of the runs that are being worked on, as they were last committed.

A step's event would otherwise cost reading the whole plan again. They change with the run's sequence only, so a row
that still has the sequence tells that nothing has changed, whoever wrote it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from domain.fold import RunState

_KEPT: Final = 64
"""States; a plan has at most 1 MiB, and few runs are worked on at once."""


class RunStates:
    """Remembers the states of the runs that were committed last."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, RunState] = OrderedDict()

    def find(self, run_id: str, last_sequence: int, status: str) -> RunState | None:
        """Return the state of a run after its newest event, None when it is not known.

        What the engine keeps of it without an event may be another by now.
        """
        known = self._states.get(run_id)
        if known is None or (known.run.last_sequence, known.run.status) != (last_sequence, status):
            return None
        return known

    def keep(self, states: Mapping[str, RunState]) -> None:
        """Remember what was committed."""
        for run_id, state in states.items():
            self._states[run_id] = state
            self._states.move_to_end(run_id)
        while len(self._states) > _KEPT:
            self._states.popitem(last=False)
