"""Settings from flags and the environment, and what is said about values that are not possible."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from graph.cli import main
from graph.commands.command import CommandError
from graph.commands.flags import add_settings, flag, read_settings, variable
from graph.settings import Settings
from tests.cli.support import assert_one_line


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def read(*argv: str) -> Settings:
    parser = ArgumentParser()
    add_settings(parser)
    return read_settings(parser.parse_args(argv))


def refusal(*argv: str) -> str:
    with pytest.raises(CommandError) as caught:
        read(*argv)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_without_flags_and_variables_the_defaults_hold() -> None:
    assert read() == Settings()
    assert read().port == 8000


def test_a_variable_sets_what_no_flag_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGX_PORT", "8123")
    monkeypatch.setenv("MGX_HEARTBEAT", "5")
    assert read().port == 8123
    assert read("--port", "0").port == 0
    assert read("--port", "0").heartbeat == 5.0


def test_every_setting_is_a_flag_of_the_same_name() -> None:
    settings = read(
        "--database-synchronous=NORMAL",
        "--dev",
        "--no-graphiql",
        "--trusted-proxies=10.0.0.0/8, 192.168.1.1",
        "--playbooks=/srv/playbooks",
        "--cancel-grace=1.5",
    )
    assert settings.database_synchronous == "NORMAL"
    assert settings.dev
    assert settings.graphiql is False
    assert settings.trusted_proxies == ("10.0.0.0/8", "192.168.1.1")
    assert settings.playbooks == Path("/srv/playbooks")
    assert settings.cancel_grace == 1.5


def test_a_flag_with_a_bad_value_is_named() -> None:
    message = refusal("--port=abc")
    assert "--port is 'abc'" in message
    assert "MGX_PORT" not in message


def test_a_variable_with_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGX_MAX_DEPTH", "0")
    assert "MGX_MAX_DEPTH is '0'" in refusal()


@pytest.mark.parametrize(
    "argument",
    [
        "--port=70000",
        "--trusted-proxies=10.0.0.0/99",
        "--allowed-origins=example.org",
        "--root-path=mgx",
        "--cancel-grace=-1",
        "--database-synchronous=OFF",
        "--graphiql=perhaps",
    ],
)
def test_values_that_are_not_possible_are_refused(argument: str) -> None:
    if argument.startswith("--graphiql"):
        with pytest.raises(SystemExit, match="2"):
            read(argument)
    else:
        assert argument.partition("=")[0] in refusal(argument)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_only_loopback_is_listened_on_unless_insecure_says_so(host: str) -> None:
    message = refusal("--host", host)
    assert host in message
    assert "--insecure" in message
    assert read("--host", host, "--insecure").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_permission(host: str) -> None:
    assert read("--host", host).is_loopback


def test_metrics_are_served_on_loopback_and_elsewhere_on_demand() -> None:
    elsewhere = ("--host=0.0.0.0", "--insecure")
    assert read().serves_metrics
    assert not read("--no-metrics").serves_metrics
    assert not read(*elsewhere).serves_metrics
    assert read(*elsewhere, "--metrics").serves_metrics


def test_only_trusted_documents_leave_no_place_for_graphiql() -> None:
    trusting = ("--trusted-documents=manifest.json",)
    assert read(*trusting).serves_graphiql
    only = (*trusting, "--trusted-documents-only")
    assert not read(*only).serves_graphiql
    assert not read(*only, "--dev").serves_graphiql
    assert "--graphiql" in refusal(*only, "--graphiql")
    assert "--trusted-documents" in refusal("--trusted-documents-only")


def test_several_processes_have_metrics_at_ports_of_their_own() -> None:
    several = ("--processes=4", "--database-url=postgresql://localhost/mgx")
    assert not read(*several).serves_metrics
    assert read(*several, "--metrics", "--metrics-port=9400").metrics_port == 9400
    assert not read("--metrics-port=9400").serves_metrics
    assert "--metrics-port" in refusal(*several, "--metrics")
    assert "--metrics-port" in refusal("--no-metrics", "--metrics-port=9400")
    assert "65533" in refusal(*several, "--metrics-port=65533")
    assert "PostgreSQL" in refusal("--processes=4")


def test_help_lists_every_setting_with_its_variable_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["serve", "--help"])
    text = "".join(capsys.readouterr().out.split())
    for name, field in Settings.model_fields.items():
        assert flag(name) in text
        assert variable(name) in text
        assert field.description is not None
        assert "".join(field.description.split()) in text
    assert "[MGX_MAX_DEPTH,default12]" in text


def test_a_bad_value_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "http"]) == 2
    complaint = capsys.readouterr().err
    assert_one_line(complaint)
    assert "--port" in complaint
