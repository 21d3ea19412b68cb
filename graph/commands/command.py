"""What a command is."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass


class CommandError(Exception):
    """A command can't do what was asked; the message is one line for people.

    Attributes:
        exit_code: What the process ends with, 2 for what was typed or set wrongly.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Something that `mgx` can be told to do.

    Attributes:
        add_arguments: Declares its flags.
        run: Does it and returns the exit code; a `CommandError` is printed, without a traceback.
    """

    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]


def tell(error: Exception) -> None:
    """Print why a command failed, in one line."""
    print(f"mgx: {' '.join(str(error).split())}", file=sys.stderr)
