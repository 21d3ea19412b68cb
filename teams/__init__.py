"""Agent teams: the built-in ones, and the operator's own behind the same protocol."""
