"""Trusted documents: those of a manifest that code generation wrote, and those that our own commands send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from graphql import GraphQLError

from graph.execution.documents import ID_PREFIX, Documents, InvalidDocumentError, digest
from graph.execution.encoding import decode
from graph.own_operations import OWN_OPERATIONS

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_OPERATION: Final = re.compile(r"\b(?:query|mutation|subscription)\s+(\w+)")


class ManifestError(Exception):
    """A manifest can't be used; the message is one sentence that names the document, if it is one document's fault."""


def trust_documents(documents: Documents, manifest: Path) -> None:
    """Trust every document of a manifest, and our own.

    Args:
        documents: Of the schema that they have to fit.
        manifest: JSON, an object of texts by their SHA-256 in hexadecimal digits, with `sha256:` before them or not:
            what graphql-codegen and Relay write.

    Raises:
        ManifestError: The file can't be read or has another form; a document has another digest than its key says, or
            does not fit the schema.
    """
    for text in OWN_OPERATIONS:
        documents.trust(text)
    for key, text in _read(manifest).items():
        if fault := _fault(documents, key.removeprefix(ID_PREFIX), text):
            raise ManifestError(f"{_name(key, text)} in {manifest} can't be trusted: {fault}")


def _read(manifest: Path) -> Mapping[str, str]:
    try:
        content = decode(manifest.read_bytes())
    except OSError as error:
        raise ManifestError(f"The manifest {manifest} can't be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise ManifestError(f"The manifest {manifest} is no valid JSON: {error}.") from error
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        raise ManifestError(f"The manifest {manifest} is no JSON object of texts of documents by their SHA-256.")
    return content


def _fault(documents: Documents, key: str, text: str) -> str | None:
    """Trust a document, or say in a sentence why not."""
    if not _SHA256.fullmatch(key):
        return 'its key is no SHA-256 in lower-case hexadecimal digits; have it made with hashAlgorithm: "sha256".'
    if key != digest(text):
        return "its key is the SHA-256 of another text."
    try:
        documents.trust(text)
    except InvalidDocumentError as error:
        return _told(error.errors[0])
    except GraphQLError as error:
        return _told(error)
    except RecursionError:
        return "it is nested too deeply."
    return None


def _told(error: GraphQLError) -> str:
    place = f" (line {error.locations[0].line}, column {error.locations[0].column})" if error.locations else ""
    return f"{error.message.rstrip('.')}{place}."


def _name(key: str, text: str) -> str:
    """Name a document by its key and its first operation's name, which people know."""
    operation = _OPERATION.search(text)
    return f"The document {key} ({operation[1]})" if operation else f"The document {key}"
