"""Advisory locks of PostgreSQL, as statements; they belong to one database and go with the connection."""

from __future__ import annotations

from typing import Final

_OURS: Final = 0x6D6778
"""What our locks begin with, "mgx", to keep them apart from those of others in the same database."""

NUMBER: Final = f"SELECT pg_advisory_xact_lock({_OURS}, 1)"
"""To give events their places; until the transaction ends."""

MIGRATE: Final = f"SELECT pg_advisory_xact_lock({_OURS}, 3)"
"""To change the schema; until the transaction ends."""

FORGET: Final = f"SELECT pg_try_advisory_xact_lock({_OURS}, 4)"
"""To remove history; until the transaction ends. Answers whether it was had."""

NAMED: Final = "SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"
"""To do what a name stands for; until the transaction ends. Two names may be one lock: that costs a wait."""
