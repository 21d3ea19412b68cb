"""Manifests of trusted documents: which are taken, and what is said of the others."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from graph.execution.documents import Documents
from graph.execution.engine import Engine, EngineOptions, Operation, Request
from graph.own_operations import OWN_OPERATIONS
from graph.schema import build_schema
from graph.trusted import ManifestError, trust_documents

TEAMS = "query Teams { teams { name } }"
DEEP = "query Deep { run(id: 1) {" + " task { latestRun {" * 2_000 + " id" + " } }" * 2_000 + " } }"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def engine() -> Engine:
    return Engine(build_schema(), EngineOptions(introspection=True, suggestions=False))


@pytest.fixture
def documents(engine: Engine) -> Documents:
    return engine.documents


def written(folder: Path, content: Any) -> Path:
    manifest = folder / "persisted-documents.json"
    manifest.write_text(content if isinstance(content, str) else json.dumps(content))
    return manifest


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_a_manifest_and_our_own_operations_are_trusted(engine: Engine, tmp_path: Path, prefix: str) -> None:
    again = "query Again { teams { name description } } # é"
    manifest = written(tmp_path, {prefix + sha256(text): text for text in (TEAMS, again)})
    trust_documents(engine.documents, manifest)
    assert engine.documents.trusted.documents == len(OWN_OPERATIONS) + 2
    for text in (TEAMS, again):
        asked = Request(document_id=f"sha256:{sha256(text)}", request_id="r")
        assert isinstance(engine.prepare(asked), Operation)


def test_an_empty_manifest_leaves_our_own_operations(documents: Documents, tmp_path: Path) -> None:
    trust_documents(documents, written(tmp_path, {}))
    assert documents.trusted.documents == len(OWN_OPERATIONS)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"x"', '{"a": 5}', '{"a": null}', '{"a": {"b": "c"}}'])
def test_a_manifest_of_another_form_is_refused_by_name(documents: Documents, tmp_path: Path, content: str) -> None:
    manifest = written(tmp_path, content)
    with pytest.raises(ManifestError, match="JSON") as caught:
        trust_documents(documents, manifest)
    assert str(manifest) in str(caught.value)


@pytest.mark.parametrize("missing", ["nowhere.json", "."])
def test_a_manifest_that_can_not_be_read_is_refused_by_name(documents: Documents, tmp_path: Path, missing: str) -> None:
    with pytest.raises(ManifestError, match="can't be read") as caught:
        trust_documents(documents, tmp_path / missing)
    assert str(tmp_path / missing) in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        (hashlib.sha1(TEAMS.encode()).hexdigest(), TEAMS, 'hashAlgorithm: "sha256"'),
        (f"sha1:{hashlib.sha1(TEAMS.encode()).hexdigest()}", TEAMS, 'hashAlgorithm: "sha256"'),
        (sha256(TEAMS).upper(), TEAMS, "lower-case"),
        (sha256(TEAMS)[:-1], TEAMS, "no SHA-256"),
        (f"sha256:sha256:{sha256(TEAMS)}", TEAMS, "no SHA-256"),
        ("", TEAMS, "no SHA-256"),
        (sha256(TEAMS), f"{TEAMS} ", "another text"),
    ],
)
def test_a_document_whose_key_is_not_its_digest_is_named(
    documents: Documents, tmp_path: Path, key: str, text: str, said: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        trust_documents(documents, written(tmp_path, {sha256("{ eventCursor }"): "{ eventCursor }", key: text}))
    message = str(caught.value)
    assert message.startswith(f"The document {key} (Teams) in ")
    assert said in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("query Q { teams { name }", "Syntax Error: Expected Name, found <EOF> (line 1, column 25)."),
        ("query Q { nothing }", "Cannot query field 'nothing' on type 'Query' (line 1, column 11)."),
        ("query Q { teams { name } }\nquery Q { teams { name } }", "There can be only one operation named 'Q'"),
        ("query Q { teams { name } } fragment F on Team { name }", "Fragment 'F' is never used"),
        ("query Q { teams { name } } type T { a: Int }", "not executable"),
        (DEEP.replace("Deep", "Q"), "nest"),
    ],
)
def test_a_document_that_can_not_be_executed_is_named(
    documents: Documents, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        trust_documents(documents, written(tmp_path, {sha256(text): text}))
    message = str(caught.value)
    assert message.startswith(f"The document {sha256(text)} (Q) in {tmp_path}")
    assert said in message
    assert message.endswith(".")
    assert "\n" not in message


def test_introspection_that_is_off_can_not_be_trusted_either(tmp_path: Path) -> None:
    text = "query Q { __schema { types { name } } }"
    closed = Engine(build_schema(), EngineOptions(introspection=False)).documents
    with pytest.raises(ManifestError, match="introspection"):
        trust_documents(closed, written(tmp_path, {sha256(text): text}))
