"""That adapters have the shape of their ports: nothing here runs, the type checker proves it."""

from __future__ import annotations

from domain.ports import Bell
from domain.store import Store
from storage.bell import BroadcastBell
from storage.store import SqlStore


def storage_conforms(store: SqlStore, bell: BroadcastBell) -> tuple[Store, Bell]:
    return store, bell
