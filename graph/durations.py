"""Durations as operators write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_FORM: Final = re.compile(r"(\d{1,12}) *([smhdw]?)", re.ASCII)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
LONGEST: Final = timedelta(days=36_500)
"""What is longer means for ever, and is said so by leaving the duration out."""


def parse_duration(text: str) -> timedelta:
    """Return a duration that is given as a whole number of seconds, or with a unit: 90, 90s, 15m, 12h, 30d, 2w.

    Raises:
        ValueError: It has another form, is 0, or longer than 36,500 days.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError("write a whole number of seconds, or one with the unit s, m, h, d or w, such as 30d")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if not 0 < seconds <= LONGEST.total_seconds():
        raise ValueError(f"must be longer than 0 and at most {LONGEST.days}d")
    return timedelta(seconds=seconds)
