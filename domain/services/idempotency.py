"""Doing a thing once, however often it is asked for with the same key."""

from __future__ import annotations

import hashlib
import json

from domain import validation
from domain.codec import to_json
from domain.store import IdempotencyKey


def request_key(mutation: str, key: str | None, request: object) -> IdempotencyKey | None:
    """Make the key of a request, None when the client gave none.

    Args:
        mutation: Name of the use case; a key belongs to one.
        key: What the client gave, 1..64 characters.
        request: Everything else that was asked for, as a record or JSON.
    """
    if key is None:
        return None
    kept = validation.text(key, "idempotency_key", minimum=1, maximum=validation.MAX_IDEMPOTENCY_KEY)
    canonical = json.dumps(to_json(request), sort_keys=True, separators=(",", ":")).encode()
    return IdempotencyKey(mutation=mutation, key=kept, input_digest=hashlib.sha256(canonical).hexdigest())
