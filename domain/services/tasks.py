"""Use cases of tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any, Final

from domain import events as e
from domain import validation as check
from domain.codec import camel_case, to_json_object
from domain.errors import ConflictError, InvalidInputError, InvalidStateError, NotFoundError
from domain.events import Event
from domain.ids import IdFactory, Kind
from domain.lifecycle import allowed_actions
from domain.model import Principal, RunSettings, Task
from domain.ports import Teams, WorkQueue
from domain.services.idempotency import request_key
from domain.services.inputs import UNSET, NewTask, TaskChanges
from domain.store import Store, WriteTx
from domain.tracing import told

_SETTINGS: Final = frozenset(field.name for field in fields(RunSettings))


class TaskService:
    """Creates, changes and deletes tasks."""

    def __init__(self, store: Store, queue: WorkQueue, teams: Teams, ids: IdFactory, *, default_team: str) -> None:
        self._store = store
        self._queue = queue
        self._teams = teams
        self._ids = ids
        self._default_team = default_team

    async def create(self, principal: Principal, new: NewTask) -> Task:
        """Create a task, which can be run at once.

        Raises:
            InvalidInputError: A field is out of range, or the team is unknown or refuses its config.
            IdempotencyKeyReusedError: The key came before with another input.
            NotFoundError: The key came before, and what it created is gone.
        """
        key = request_key("createTask", new.idempotency_key, replace(new, idempotency_key=None))
        team = self._default_team if new.team is None else new.team
        values: dict[str, Any] = {
            name: _checked(name, getattr(new, name))
            for name in ("name", "description", "labels", "concurrency", *_SETTINGS)
        }
        config = check.config({} if new.config is None else new.config, "config")
        self._teams.validate(team, config)
        async with self._store.write(principal, short=key is None) as tx:
            if key is not None and (ids := await tx.idempotency.find(key)) is not None:
                return await _existing(tx, ids[0])
            now = await tx.now()
            task = Task(
                id=self._ids.new(Kind.TASK),
                tenant=principal.tenant or "default",
                team=team,
                config=config,
                settings=RunSettings(**{name: values.pop(name) for name in _SETTINGS}),
                created_at=now,
                updated_at=now,
                **values,
            )
            await tx.tasks.insert(task)
            event = _event(task, e.TaskCreated(task=task), f"Task {task.name!r} was created.", "v1")
            told(tx, await tx.events.append([event]))
            if key is not None:
                await tx.idempotency.keep(key, [task.id])
            return task

    async def update(self, principal: Principal, changes: TaskChanges) -> Task:
        """Change the fields that are given; runs that exist keep the rules they were created with.

        Raises:
            InvalidInputError: As for create, and for an explicit null where none can be.
            NotFoundError: There is no such task.
            ConflictError: The task is not at the expected version.
        """
        given: dict[str, Any] = {
            field.name: _checked(field.name, value)
            for field in fields(changes)
            if field.name not in {"task_id", "expected_version"}
            and (value := getattr(changes, field.name)) is not UNSET
        }
        async with self._store.write(principal) as tx:
            task = await _locked(tx, changes.task_id)
            expected = changes.expected_version
            if expected is not None and expected != task.version:
                raise ConflictError("task", expected=expected, actual=task.version, path=("expected_version",))
            changed = replace(
                task,
                settings=replace(task.settings, **{name: given.pop(name) for name in _SETTINGS & given.keys()}),
                **given,
            )
            if changed == task:
                return task
            if (changed.team, changed.config) != (task.team, task.config):
                self._teams.validate(changed.team, changed.config)
            changed = replace(changed, version=task.version + 1, updated_at=await tx.now())
            await tx.tasks.save(changed)
            names = _changed_fields(task, changed)
            payload = e.TaskUpdated(task=changed, changed_fields=names)
            message = f"Task {changed.name!r} was changed: {', '.join(names)}."
            told(tx, await tx.events.append([_event(changed, payload, message, f"v{changed.version}")]))
            return changed

    async def delete(self, principal: Principal, task_id: str, *, force: bool) -> str:
        """Delete a task with everything of it; with `force` its active runs are stopped at once.

        Raises:
            NotFoundError: There is no such task.
            InvalidStateError: A run is active, and `force` is not given.
        """
        async with self._store.write(principal) as tx:
            task = await _locked(tx, task_id)
            active = await tx.runs.active(task_id)
            if active and not force:
                newest, now = active[-1], await tx.now()
                raise InvalidStateError(
                    f"Run {newest.number} of the task is {newest.status}; cancel it first, or delete with force.",
                    current=newest.status,
                    allowed=allowed_actions(newest, now),
                    path=("task_id",),
                )
            now = await tx.now()
            await tx.tasks.delete(task_id)
            deleted = replace(task, updated_at=now)
            message = f"Task {task.name!r} was deleted."
            told(tx, await tx.events.append([_event(deleted, e.TaskDeleted(name=task.name), message, "deleted")]))
            for run in active:
                tx.after_commit(partial(self._queue.cancel, run.id))
            return task_id


_RULES: Final[dict[str, Callable[[Any], Any]]] = {
    "name": lambda value: check.text(value, "name", minimum=1, maximum=check.MAX_NAME),
    "description": lambda value: check.text(value, "description", maximum=check.MAX_DESCRIPTION),
    "team": lambda value: check.text(value, "team", minimum=1, maximum=check.MAX_NAME),
    "config": lambda value: check.config(value, "config"),
    "labels": lambda value: check.labels(value, "labels"),
    "max_rounds": lambda value: check.whole(value, "max_rounds", minimum=1, maximum=100),
    "max_revision_rounds": lambda value: check.whole(value, "max_revision_rounds", minimum=0, maximum=50),
    "memory_size": lambda value: check.whole(value, "memory_size", minimum=1, maximum=1000),
    "approval_timeout": lambda value: (
        value
        if value is None
        else check.whole(value, "approval_timeout", minimum=1, maximum=check.MAX_APPROVAL_TIMEOUT)
    ),
}


def _checked(name: str, value: Any) -> Any:
    if name in _RULES:
        return _RULES[name](value)
    if value is None:
        raise InvalidInputError(f"{name.replace('_', ' ').capitalize()} can't be null.", path=(name,))
    return value


def _changed_fields(before: Task, after: Task) -> tuple[str, ...]:
    names = [
        *(
            name
            for name in ("name", "description", "team", "config", "labels", "concurrency")
            if getattr(before, name) != getattr(after, name)
        ),
        *(
            field.name
            for field in fields(RunSettings)
            if getattr(before.settings, field.name) != getattr(after.settings, field.name)
        ),
    ]
    return tuple(camel_case(name) for name in names)


def _event(task: Task, payload: e.TaskPayload, message: str, suffix: str) -> Event:
    return Event(
        id=f"event_{task.id.removeprefix('task_')}_{suffix}",
        type=e.TYPES[type(payload)],
        timestamp=task.updated_at,
        message=message,
        data=to_json_object(payload),
        tenant=task.tenant,
        task_id=task.id,
    )


async def _locked(tx: WriteTx, task_id: str) -> Task:
    task = await tx.tasks.lock(task_id)
    if task is None:
        raise NotFoundError("task", task_id, path=("task_id",))
    return task


async def _existing(tx: WriteTx, task_id: str) -> Task:
    found = await tx.read.tasks.many([task_id])
    if task_id not in found:
        raise NotFoundError("task", task_id)
    return found[task_id]
