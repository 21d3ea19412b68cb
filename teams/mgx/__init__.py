"""The adapter for objects shaped like MGXStyleTeam: `analyze_and_plan`, `approve_plan`, `execute`."""

from teams.mgx.team import MgxTeam

__all__ = ["MgxTeam"]
