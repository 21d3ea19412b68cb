"""Descriptions of the domain's enums, which are the API's enums as they are.

Strawberry takes a plain `StrEnum` for what it is; what it can't know is what the values mean to a client. This module
is imported before any other of the package, so that every annotation meets the described enum.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from domain.events import EventType
from domain.model import (
    ApprovalTimeoutPolicy,
    ChangeKind,
    ConcurrencyPolicy,
    DecisionKind,
    LogLevel,
    MetricType,
    RunAction,
    RunStatus,
    StepStatus,
    TaskStatus,
)
from domain.paging import Direction, RunOrderField, TaskOrderField
from domain.ports import BellState


def describe(enum: type[StrEnum], description: str, values: Mapping[Any, str], *, name: str | None = None) -> None:
    """Say what an enum and each of its values means.

    Args:
        enum: Registered with Strawberry as it is.
        description: Of the enum.
        values: What each value means; all of them.
        name: In the schema, where it is not the enum's own.
    """
    strawberry.enum(enum, name=name, description=description)
    definition = cast("StrawberryEnumDefinition", cast("Any", enum).__strawberry_definition__)
    for value in definition.values:
        value.description = values[value.value]


describe(
    TaskStatus,
    "State of a task's latest run, in the words of the dashboard; never set by a client.",
    {
        TaskStatus.PENDING: "There is no run yet, or the latest waits for a worker.",
        TaskStatus.RUNNING: "The latest run is being planned, decided on, executed or cancelled.",
        TaskStatus.COMPLETED: "The latest run completed.",
        TaskStatus.FAILED: "The latest run failed.",
        TaskStatus.CANCELLED: "The latest run was cancelled, or its plan rejected.",
        TaskStatus.TIMEOUT: "Nobody decided on the latest run's plan in time.",
    },
)
describe(
    ApprovalTimeoutPolicy,
    "What happens when nobody decides on a plan in time.",
    {
        ApprovalTimeoutPolicy.REJECT: "The run ends as TIMEOUT.",
        ApprovalTimeoutPolicy.APPROVE: "The run goes on without a decision.",
    },
)
describe(
    ConcurrencyPolicy,
    "What happens when a run is created while another run of its task is active.",
    {
        ConcurrencyPolicy.ALLOW: "Both run side by side.",
        ConcurrencyPolicy.QUEUE: "The new run starts when the one before is final.",
        ConcurrencyPolicy.REFUSE: "The new run is refused with LIMIT_REACHED.",
        ConcurrencyPolicy.CANCEL_PREVIOUS: "The active run is cancelled; the new one waits until it is final.",
    },
)
describe(
    RunStatus,
    "Where a run stands. COMPLETED, FAILED, REJECTED, CANCELLED and TIMEOUT are final and never left.",
    {
        RunStatus.PENDING: "Waits for a worker.",
        RunStatus.ANALYZING: "Its team works out a plan.",
        RunStatus.AWAITING_APPROVAL: "The plan waits for a decision.",
        RunStatus.RUNNING: "The approved plan is being executed, or waits for a free slot.",
        RunStatus.CANCELLING: "Was cancelled; the work under way is given time to stop.",
        RunStatus.COMPLETED: "All steps are done.",
        RunStatus.FAILED: "Ended by an error; see failure.",
        RunStatus.REJECTED: "The plan was rejected.",
        RunStatus.CANCELLED: "Was cancelled, and its work has stopped.",
        RunStatus.TIMEOUT: "Nobody decided on the plan in time.",
    },
)
describe(
    RunAction,
    "What a caller may do to a run.",
    {
        RunAction.APPROVE: "approveRun with approved: true.",
        RunAction.REJECT: "approveRun with approved: false.",
        RunAction.REQUEST_CHANGES: "requestPlanChanges.",
        RunAction.CANCEL: "cancelRun.",
        RunAction.RETRY: "retryRun.",
        RunAction.DELETE: "deleteRun.",
    },
)
describe(
    StepStatus,
    "Where a step of a plan stands.",
    {
        StepStatus.PENDING: "Was not started.",
        StepStatus.RUNNING: "Was started and is not done.",
        StepStatus.COMPLETED: "Is done.",
        StepStatus.FAILED: "Failed for good, or was running when its run ended.",
        StepStatus.SKIPPED: "Was not needed, was done by an earlier run, or never started before its run ended.",
    },
)
describe(
    ChangeKind,
    "How a step differs from the version of the plan before.",
    {
        ChangeKind.ADDED: "Is new.",
        ChangeKind.REMOVED: "Is gone.",
        ChangeKind.MODIFIED: "Says something else.",
        ChangeKind.MOVED: "Stands at another place.",
    },
)
describe(
    DecisionKind,
    "How a plan was decided on.",
    {
        DecisionKind.APPROVED: "A person approved it.",
        DecisionKind.REJECTED: "A person rejected it.",
        DecisionKind.CHANGES_REQUESTED: "A person sent it back with feedback.",
        DecisionKind.EXPIRED: "Nobody decided in time, and the task's policy is REJECT.",
        DecisionKind.AUTO_APPROVED: "Approved by policy: autoApprove, a deadline with APPROVE, or a retry from a step.",
    },
)
describe(
    MetricType,
    "What a metric's value measures.",
    {
        MetricType.COUNTER: "A count that only grows.",
        MetricType.GAUGE: "A value that goes up and down.",
        MetricType.HISTOGRAM: "One observation of a distribution.",
        MetricType.TIMER: "How long something took.",
        MetricType.STATUS: "A state as a number, such as 0 or 1.",
        MetricType.ERROR_RATE: "The share of what went wrong.",
        MetricType.THROUGHPUT: "How much was done in a time.",
        MetricType.LATENCY: "How long an answer took.",
        MetricType.CUSTOM: "Anything else.",
    },
)
describe(
    LogLevel,
    "Severity of a log line, lowest first.",
    {
        LogLevel.DEBUG: "For those who work on the team itself.",
        LogLevel.INFO: "What happens as expected.",
        LogLevel.WARNING: "Something unexpected that does not stop the work.",
        LogLevel.ERROR: "Something went wrong.",
    },
)
describe(
    EventType,
    "What an event tells. Clients should expect that types are added.",
    {
        EventType.RUN_CREATED: "A run was created.",
        EventType.ANALYSIS_START: "A worker took the run; its team begins to plan.",
        EventType.PLAN_READY: "The team delivered a version of the plan.",
        EventType.APPROVAL_REQUIRED: "The plan waits for a decision.",
        EventType.APPROVED: "The plan was approved, by a person or by policy.",
        EventType.REJECTED: "The plan was rejected; the run's last event.",
        EventType.CHANGES_REQUESTED: "The plan was sent back with feedback.",
        EventType.PROGRESS: "A step started, moved or ended.",
        EventType.LOG: "The run's team said something.",
        EventType.METRIC: "Samples of the run were recorded.",
        EventType.ARTIFACT: "The run made a file.",
        EventType.RESUMED: "Another worker goes on with the run.",
        EventType.CANCEL_REQUESTED: "The run shall end; its work is given time to stop.",
        EventType.COMPLETION: "The run completed; its last event.",
        EventType.FAILURE: "The run failed; its last event.",
        EventType.CANCELLED: "The run was cancelled; its last event.",
        EventType.TIMEOUT: "Nobody decided on the plan in time; the run's last event.",
        EventType.RUN_DELETED: "A run was deleted with its events; outside the run's own sequence.",
        EventType.TASK_CREATED: "A task was created.",
        EventType.TASK_UPDATED: "A task was changed.",
        EventType.TASK_DELETED: "A task was deleted with its runs and all their events.",
    },
)
describe(
    Direction,
    "Which way a list is sorted.",
    {Direction.ASC: "Lowest or oldest first.", Direction.DESC: "Highest or newest first."},
    name="OrderDirection",
)
describe(
    TaskOrderField,
    "What tasks can be sorted by; the id breaks ties.",
    {
        TaskOrderField.CREATED_AT: "When the task was created.",
        TaskOrderField.UPDATED_AT: "When the task was last changed.",
        TaskOrderField.NAME: "The name without regard to case, by code point.",
    },
)
describe(
    RunOrderField,
    "What runs can be sorted by; runs without a value come last in both directions, the id breaks ties.",
    {
        RunOrderField.CREATED_AT: "When the run was created.",
        RunOrderField.STARTED_AT: "When a worker took the run.",
        RunOrderField.COMPLETED_AT: "When the run came to an end.",
        RunOrderField.DURATION: "Seconds from start to end.",
    },
)
describe(
    BellState,
    "Whether rings reach other instances; without them nothing is lost, but it is a second late.",
    {
        BellState.CONNECTED: "News of other instances arrive at once.",
        BellState.DEGRADED: "News of other instances arrive within a second.",
    },
)
