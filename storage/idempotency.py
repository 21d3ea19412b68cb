"""Clients' idempotency keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, insert, select, tuple_

from domain.errors import IdempotencyKeyReusedError
from domain.model import Principal
from domain.store import IdempotencyKey
from storage.session import Session
from storage.tables import idempotency_keys as keys
from storage.types import POSTGRESQL

KEPT: Final = timedelta(hours=24)

_SAME: Final = and_(
    keys.c.tenant == bindparam("tenant"),
    keys.c.actor == bindparam("actor"),
    keys.c.mutation == bindparam("mutation"),
    keys.c.key == bindparam("key"),
)
_FIND: Final = select(keys.c.input_digest, keys.c.ids).where(_SAME, keys.c.created_at > bindparam("since"))
_INSERT: Final = insert(keys)
_FORGET: Final = delete(keys).where(keys.c.created_at <= bindparam("since"))
_old: Final = select(*keys.primary_key).where(keys.c.created_at <= bindparam("since")).with_for_update(skip_locked=True)
_FORGET_FREE: Final = delete(keys).where(tuple_(*keys.primary_key).in_(_old))
"""Leaves out those that another transaction is forgetting, for it may wait for this one."""


class SqlIdempotencyWrites:
    """Implements `domain.store.IdempotencyWrites`."""

    def __init__(self, session: Session, principal: Principal, read_time: Callable[[], Awaitable[datetime]]) -> None:
        """Take the time from a clock: a key is looked for before the locks, and the transaction's comes after them."""
        self._session = session
        self._principal = principal
        self._read_time = read_time

    async def find(self, key: IdempotencyKey, /) -> Sequence[str] | None:
        """Return the ids that the first request with this key led to, None when it is new."""
        await self._session.alone("key", *self._name(key).values())
        row = await self._session.row(_FIND, **self._name(key), since=await self._read_time() - KEPT)
        if row is None:
            return None
        digest, ids = row
        if digest != key.input_digest:
            raise IdempotencyKeyReusedError
        return list(ids)

    async def keep(self, key: IdempotencyKey, ids: Sequence[str], /) -> None:
        """Remember what a request led to, and forget keys older than 24 hours."""
        now = await self._read_time()
        forget = _FORGET_FREE if self._session.dialect == POSTGRESQL else _FORGET
        await self._session.execute(forget, {"since": now - KEPT})
        values = {"input_digest": key.input_digest, "ids": tuple(ids), "created_at": now}
        await self._session.execute(_INSERT, self._name(key) | values)

    def _name(self, key: IdempotencyKey) -> dict[str, Any]:
        # The engine, which sees every tenant, is no client; a key of its own would still be its own.
        tenant = self._principal.tenant or ""
        return {"tenant": tenant, "actor": self._principal.actor, "mutation": key.mutation, "key": key.key}
