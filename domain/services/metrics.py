"""Use cases of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from domain import commands as c
from domain import validation as check
from domain.errors import InvalidInputError, NotFoundError
from domain.fold import RunState
from domain.ids import IdFactory, Kind
from domain.lifecycle import decide_all
from domain.model import Metric, Principal
from domain.services.changes import RunChanges
from domain.services.idempotency import request_key
from domain.services.inputs import UNSET, MetricChanges, NewMetric, NewMetrics
from domain.store import Store, WriteTx
from domain.transitions import FINAL

MAX_EVENT_METRICS: Final = 100
"""Samples that one METRIC event holds at most."""


class MetricService:
    """Records, changes and deletes samples."""

    def __init__(self, store: Store, changes: RunChanges, ids: IdFactory) -> None:
        self._store = store
        self._changes = changes
        self._ids = ids

    async def create(self, principal: Principal, new: NewMetrics) -> Sequence[Metric]:
        """Record samples of a task or of a run; a run that is not final tells so by METRIC events.

        Raises:
            InvalidInputError: No task or run is named, the run is not of the task, or a field is out of range.
            NotFoundError: There is no such task or run.
            IdempotencyKeyReusedError: The key came before with another input.
        """
        key = request_key("createMetrics", new.idempotency_key, replace(new, idempotency_key=None))
        if new.task_id is None and new.run_id is None:
            raise InvalidInputError("Give a taskId or a runId.", path=("task_id",))
        if not 1 <= len(new.metrics) <= check.MAX_METRICS:
            raise InvalidInputError(f"Give 1 to {check.MAX_METRICS} metrics.", path=("metrics",))
        fields = [_checked(metric, place) for place, metric in enumerate(new.metrics)]
        async with self._store.write(principal, short=key is None and len(fields) <= MAX_EVENT_METRICS) as tx:
            if key is not None and (ids := await tx.idempotency.find(key)) is not None:
                return await _existing(tx, ids)
            state = None if new.run_id is None else await _locked(tx, new.run_id)
            task_id = await _task_id(tx, new.task_id, state)
            now = await tx.now()
            metrics = [self._metric(principal, task_id, new.run_id, values, now) for values in fields]
            await self._write(tx, state, metrics, now)
            if key is not None:
                await tx.idempotency.keep(key, [metric.id for metric in metrics])
            return metrics

    async def update(self, principal: Principal, changes: MetricChanges) -> Metric:
        """Change a sample; the log keeps what was said.

        Raises:
            NotFoundError: There is no such sample.
            InvalidInputError: A field is out of range, or null.
        """
        given: dict[str, Any] = {}
        if changes.value is not UNSET:
            given["value"] = check.finite(changes.value, "value")
        if changes.unit is not UNSET:
            given["unit"] = check.text(changes.unit, "unit", maximum=check.MAX_UNIT)
        if changes.labels is not UNSET:
            if changes.labels is None:
                raise InvalidInputError("Labels can't be null.", path=("labels",))
            given["labels"] = check.metric_labels(changes.labels, "labels")
        async with self._store.write(principal) as tx:
            metric = await _found(tx, changes.metric_id)
            changed = replace(metric, **given)
            if changed != metric:
                await tx.metrics.save(changed)
            return changed

    async def delete(self, principal: Principal, metric_id: str) -> str:
        """Delete a sample.

        Raises:
            NotFoundError: There is no such sample.
        """
        async with self._store.write(principal) as tx:
            await _found(tx, metric_id)
            await tx.metrics.delete(metric_id)
            return metric_id

    async def _write(self, tx: WriteTx, state: RunState | None, metrics: list[Metric], now: datetime) -> None:
        """Add samples, by way of the run's log while it is active."""
        if state is None or state.run.status in FINAL:
            await tx.metrics.add(metrics)
            return
        batches = (metrics[i : i + MAX_EVENT_METRICS] for i in range(0, len(metrics), MAX_EVENT_METRICS))
        commands = [c.RecordMetrics(metrics=tuple(batch)) for batch in batches]
        await self._changes.save(tx, state, decide_all(state, commands, now))

    def _metric(
        self, principal: Principal, task_id: str, run_id: str | None, values: dict[str, Any], now: datetime
    ) -> Metric:
        return Metric(
            id=self._ids.new(Kind.METRIC),
            tenant=principal.tenant or "default",
            task_id=task_id,
            run_id=run_id,
            **{**values, "timestamp": values["timestamp"] or now},
        )


def _checked(metric: NewMetric, place: int) -> dict[str, Any]:
    path = ("metrics", str(place))
    return {
        "name": check.text(metric.name, *path, "name", minimum=1, maximum=check.MAX_METRIC_NAME),
        "type": metric.type,
        "value": check.finite(metric.value, *path, "value"),
        "unit": None if metric.unit is None else check.text(metric.unit, *path, "unit", maximum=check.MAX_UNIT),
        "labels": check.metric_labels(metric.labels, *path, "labels"),
        "timestamp": metric.timestamp,
    }


async def _locked(tx: WriteTx, run_id: str) -> RunState:
    """Lock a run, and not its task: samples leave the run's status as it is."""
    state = await tx.runs.lock(run_id)
    if state is None:
        raise NotFoundError("run", run_id, path=("run_id",))
    return state


async def _task_id(tx: WriteTx, task_id: str | None, state: RunState | None) -> str:
    if state is not None:
        if task_id not in {None, state.run.task_id}:
            raise InvalidInputError("The run is not one of this task.", path=("run_id",))
        return state.run.task_id
    assert task_id is not None
    if await tx.tasks.lock(task_id) is None:
        raise NotFoundError("task", task_id, path=("task_id",))
    return task_id


async def _found(tx: WriteTx, metric_id: str) -> Metric:
    metric = await tx.metrics.get(metric_id)
    if metric is None:
        raise NotFoundError("metric", metric_id, path=("metric_id",))
    return metric


async def _existing(tx: WriteTx, ids: Sequence[str]) -> Sequence[Metric]:
    found = await tx.read.metrics.many(ids)
    missing = next((metric_id for metric_id in ids if metric_id not in found), None)
    if missing is not None:
        raise NotFoundError("metric", missing)
    return [found[metric_id] for metric_id in ids]
