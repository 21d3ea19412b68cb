"""Where playbooks lie: the packaged ones, and the operator's folder, which is read anew whenever one is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from teams.errors import TeamSetupError
from teams.playbook.format import Playbook, PlaybookError, read_playbook

PACKAGED: Final = Path(__file__).parent.parent / "playbooks"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Library:
    """Playbooks by name: `NAME.yaml`, or `NAME/playbook.yaml` for one with files of its own.

    Args:
        folder: The operator's; a playbook in it stands before a packaged one of the same name.

    Raises:
        TeamSetupError: The folder is not there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise TeamSetupError(f"The folder of playbooks, {str(folder)!r}, is not there.")
        self._folders = [PACKAGED] if folder is None else [PACKAGED, folder]
        self._read: dict[Path, tuple[tuple[int, int, int], Playbook]] = {}

    def names(self) -> list[str]:
        """Return the names of all playbooks, sorted, whether or not they can be used."""
        return sorted(self._paths())

    def find(self, name: str) -> Playbook | None:
        """Return a playbook as its file says now, None when there is none of that name.

        Raises:
            PlaybookError: Its file can't be used.
        """
        path = self._paths().get(name)
        return None if path is None else self._fresh(path)

    def folder(self, name: str) -> Path | None:
        """Return where a playbook's files lie, None when there is no playbook of that name."""
        path = self._paths().get(name)
        return None if path is None else path.parent

    def _paths(self) -> dict[str, Path]:
        return dict(pair for folder in self._folders for pair in _found(folder))

    def _fresh(self, path: Path) -> Playbook:
        """Read a file again only when it has changed; the rules look at files beside it, so a fault is never kept."""
        try:
            stat = path.stat()
        except OSError as error:
            raise PlaybookError([f"line 1: the file can't be read: {error.strerror or error}"]) from error
        state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._read.get(path)
        if known is None or known[0] != state:
            known = (state, read_playbook(path))
            self._read[path] = known
        return known[1]


def _found(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield a folder's playbooks, single files last, so that they win."""
    entries = sorted(folder.iterdir())
    for entry in entries:
        path = entry / "playbook.yaml"
        if _NAME.fullmatch(entry.name) and path.is_file():
            yield entry.name, path
    for entry in entries:
        if entry.suffix == ".yaml" and _NAME.fullmatch(entry.stem) and entry.is_file():
            yield entry.stem, entry
