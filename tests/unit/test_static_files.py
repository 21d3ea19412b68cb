"""The built GraphiQL that is shipped: what it was made from, what it is, and that it is in the wheel."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from tests.wheel import build_wheel

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "console" / "graphiql"
BUILT = ROOT / "graph" / "static" / "graphiql"
REMEDY = "`make graphiql` builds it anew; commit what it writes."


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, str]]:
    """What the build wrote down about itself."""
    recorded: dict[str, dict[str, str]] = json.loads((BUILT / "manifest.json").read_text())
    return recorded


def test_graphiql_was_built_from_the_sources_and_the_lock_as_they_are_now(
    manifest: dict[str, dict[str, str]],
) -> None:
    assert digests(SOURCES, besides="node_modules") == manifest["sources"], REMEDY


def test_the_built_files_are_as_the_build_left_them(manifest: dict[str, dict[str, str]]) -> None:
    assert digests(BUILT, besides="manifest.json") == manifest["built"], REMEDY


def test_the_lock_names_hashes_and_no_hosts() -> None:
    packages = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    installed = [package for path, package in packages.items() if path]
    assert all("integrity" in package and "resolved" not in package for package in installed)


def test_the_wheel_carries_graphiql(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(tmp_path)) as archive:
        packed = set(archive.namelist())
    assert {path.relative_to(ROOT).as_posix() for path in BUILT.rglob("*") if path.is_file()} <= packed


def digests(folder: Path, *, besides: str) -> dict[str, str]:
    """SHA-256 of each file by its path, without one entry at the top."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        relative.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for relative, path in files.items()
        if relative.parts[0] != besides
    }
