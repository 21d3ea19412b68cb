"""How long history is kept, as an operator says it."""

from argparse import ArgumentParser
from datetime import timedelta

import pytest

from graph.commands.command import CommandError
from graph.commands.flags import add_settings, read_settings
from graph.settings import Settings

VARIABLE = "MGX_EVENT_RETENTION"


@pytest.fixture(autouse=True)
def _not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def read(*argv: str) -> Settings:
    parser = ArgumentParser()
    add_settings(parser)
    return read_settings(parser.parse_args(argv))


def test_history_is_kept_for_ever_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read().event_retention is None
    monkeypatch.setenv(VARIABLE, "")
    assert read().event_retention is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("90", timedelta(seconds=90)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        (" 2 w ", timedelta(weeks=2)),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_a_duration_has_a_unit_or_is_in_seconds(given: str, kept: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, given)
    assert read().event_retention == kept


@pytest.mark.parametrize(
    "given", ["0", "0d", "-1d", "1.5h", "d", "30 days", "P30D", "36501d", "9" * 12 + "w", "٣d", "inf"]
)
def test_what_is_no_duration_is_refused_by_name(given: str) -> None:
    with pytest.raises(CommandError) as refused:
        read(f"--event-retention={given}")
    assert f"--event-retention is {given!r}" in str(refused.value)
    assert "30d" in str(refused.value) or "longer than 0" in str(refused.value)
