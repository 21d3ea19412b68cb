"""What can be wrong with teams before any of them works."""

from __future__ import annotations


class TeamSetupError(ValueError):
    """Teams can't be set up as the operator asked; the message is one line that says why."""
