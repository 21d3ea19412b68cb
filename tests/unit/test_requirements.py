"""requirements/*.txt: what is installed is what was locked and tested, from whatever host it comes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS: Final = ("app", "extras", "dev", "uv", "servers")


def text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.txt").read_text()


def locked(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return what a lock names: versions and hashes by distribution."""
    entries = re.split(r"^(?=[a-z0-9])", text(lock), flags=re.MULTILINE)[1:]
    return {name: (version, hashes) for name, version, hashes in map(entry, entries)}


def entry(lines: str) -> tuple[str, str, frozenset[str]]:
    match = re.match(r"([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", lines)
    assert match, lines
    return match[1], match[2], frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", lines))


def asked(*extras: str) -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for: the dependencies, or those of extras."""
    groups = [PROJECT["optional-dependencies"][extra] for extra in extras] or [PROJECT["dependencies"]]
    return (Requirement(item) for group in groups for item in group)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_versions_and_hashes_and_no_hosts(lock: str) -> None:
    assert locked(lock)
    assert [name for name, (_, hashes) in locked(lock).items() if not hashes] == []
    assert "://" not in text(lock)
    assert not re.search(r"^\s*(-i|--index|--extra-index|--find-links)", text(lock), re.MULTILINE)


@pytest.mark.parametrize(("lock", "of"), [("app", "extras"), ("extras", "dev")])
def test_what_is_installed_is_what_was_tested(lock: str, of: str) -> None:
    assert locked(lock).items() <= locked(of).items()


@pytest.mark.parametrize("lock", ["app", "extras"])
def test_a_lock_has_what_the_project_asks_for(lock: str) -> None:
    extras = asked(*PROJECT["optional-dependencies"]) if lock == "extras" else ()
    for requirement in (*asked(), *extras):
        version, _ = locked(lock)[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_who_needs_no_extra_gets_none() -> None:
    of_extras = {canonicalize_name(item.name) for item in asked(*PROJECT["optional-dependencies"])}
    assert of_extras.isdisjoint(locked("app"))
