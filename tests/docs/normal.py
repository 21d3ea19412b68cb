"""What differs from run to run, made the same: ids, cursors, times and measured numbers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

WIDTH: Final = 112
"""Characters that a line of JSON may have before it is broken up."""

_ID: Final = re.compile(r"\b(task|run|metric|artifact|event)_([0-9a-hjkmnp-tv-z]{26})")
_TIME: Final = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})(Z|\+00:00)")
_CURSORS: Final = frozenset({"cursor", "eventCursor", "startCursor", "endCursor"})
_MEASURED: Final[Mapping[str, Any]] = {
    "duration": 0.52,
    "lastRunDuration": 0.52,
    "instance": "mgx-5f0c9a1e",
    "connections": 3,
    "subscribers": 2,
    "delivered": 1042,
    "catchingUp": 0,
    "lagMs": 0.6,
    "requestId": "0c9d3e7f5b1a4c2e8f60a7d4b3921e58",
}

_FIRST_TIME: Final = datetime(2026, 11, 24, 9, 30, 0, 120_000, UTC)
_TIME_STEP: Final = timedelta(milliseconds=137)
_DEADLINE: Final = timedelta(seconds=300)


@dataclass
class Names:
    """Names that a page uses for what a server made up, given in the order in which they are first met."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _shown: dict[str, str] = field(default_factory=dict)
    _ids: int = 0
    _cursors: int = 0

    def page_of(self, value: Any, key: str | None = None) -> Any:
        """Return an answer as the page shows it; only its times are still the server's."""
        match value:
            case dict():
                return {key: self.page_of(item, key) for key, item in value.items()}
            case list():
                return [self.page_of(item, key) for item in value]
            case int() | float() | str() if key is not None and key in _MEASURED:
                return _MEASURED[key]
            case str() if key in _CURSORS:
                return self._cursor(value)
            case str():
                return self.text_of(value)
            case _:
                return value

    def text_of(self, text: str) -> str:
        """Return a text with the page's ids."""
        return _ID.sub(lambda found: f"{found[1]}_{self._id(found[2])}", text)

    def server_of(self, text: str) -> str:
        """Return a text of the page with the ids and cursors of the server."""
        for real, shown in self._shown.items():
            text = text.replace(shown, real)
        return text

    def with_times(self, page: str) -> str:
        """Return a page with times that keep the order of the server's; those of long ago stay."""
        found = {(text, datetime.fromisoformat(f"{text}+00:00")) for text, _ in _TIME.findall(page)}
        recent = {text: time for text, time in found if time >= self.started}
        now = datetime.now(UTC)
        # A deadline stays a deadline: so long after the moment at which the wait began.
        begun = {time - _DEADLINE if time > now else time for time in recent.values()}
        shown = {time: _FIRST_TIME + rank * _TIME_STEP for rank, time in enumerate(sorted(begun))}

        def replace(match: re.Match[str]) -> str:
            time = recent.get(match[1])
            if time is None:
                return match[0]
            moved = shown[time - _DEADLINE] + _DEADLINE if time > now else shown[time]
            return f"{moved:%Y-%m-%dT%H:%M:%S.%f}{match[2]}"

        return _TIME.sub(replace, page)

    def _id(self, real: str) -> str:
        if real not in self._shown:
            if real in self._shown.values() or set(real) <= {"0"}:
                return real
            self._ids += 1
            self._shown[real] = f"01kaq3m8v2t6x9c4n7p1w5r0{self._ids:02}"
        return self._shown[real]

    def _cursor(self, real: str) -> str:
        if real not in self._shown:
            self._cursors += 1
            self._shown[real] = f"4mTqWc0xAAAAAAAA{self._cursors:03}"
        return self._shown[real]


def written(value: Any, indent: str = "", taken: int = 1) -> str:
    """Write JSON with what fits on one line on one line.

    Args:
        value: What to write.
        indent: Of the line that it begins on.
        taken: Characters of that line that others take.
    """
    flat = compact(value)
    if len(indent) + taken + len(flat) <= WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    inner = indent + "  "
    if isinstance(value, list):
        items = [written(item, inner) for item in value]
    else:
        names = {key: f"{json.dumps(key)}: " for key in value}
        items = [names[key] + written(item, inner, len(names[key]) + 1) for key, item in value.items()]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    return opening + ",".join(f"\n{inner}{item}" for item in items) + f"\n{indent}{closing}"


def compact(value: Any) -> str:
    """Write JSON on one line."""
    return json.dumps(value, ensure_ascii=False)
