"""The team `playbook`: the operator's lists of commands, run step by step after approval."""

from teams.playbook.format import PlaybookError, check_playbook
from teams.playbook.team import DEFAULT_PLAYBOOK, Playbooks

__all__ = ["DEFAULT_PLAYBOOK", "PlaybookError", "Playbooks", "check_playbook"]
