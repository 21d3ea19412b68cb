"""The time of this machine."""

from datetime import UTC, datetime


class SystemClock:
    """A `domain.ports.Clock`."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        return datetime.now(UTC)
