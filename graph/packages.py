"""Makes sure that our plainly named packages are ours.

`domain`, `storage`, `teams` and `graph` are names that other code may use as well; whichever stands first on the import
path wins, so a stranger's package would be taken for ours without a word.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

_OURS: Final = ("domain", "storage", "teams", "graph")


class ForeignPackageError(Exception):
    """Another package hides one of ours; the message says which and where."""


def check_packages() -> None:
    """Look where our packages would be imported from, without importing them.

    Raises:
        ForeignPackageError: One of them lies elsewhere than this file's.
    """
    root = Path(__file__).resolve().parent.parent
    for name in _OURS:
        spec = find_spec(name)
        found = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if found != root / name / "__init__.py":
            where = found or "a folder without __init__.py"
            raise ForeignPackageError(
                f"The package {name!r} is not ours but {where}, which comes first on Python's import path; "
                "rename it, or take its folder out of PYTHONPATH. Teams of your own belong in MGX_TEAM_PATH."
            )
