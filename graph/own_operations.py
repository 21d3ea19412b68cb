"""The operations that our own commands send; a server that trusts any documents trusts these."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_PLAN: Final = """
fragment PlanParts on Plan {
  version digest summary complexity feedback
  steps { key title detail assignee status }
}
"""

RUN_EVENTS: Final = (
    """
subscription RunEvents($runId: ID!, $after: String) {
  runEvents(runId: $runId, after: $after) {
    cursor type timestamp message sequence status
    ... on PlanReadyEvent { plan { ...PlanParts } }
    ... on ApprovalRequiredEvent { expiresAt }
    ... on ProgressEvent { step stepStatus progress totalSteps }
    ... on LogEvent { lines { level message step } }
    ... on MetricEvent { metrics { name value unit } }
    ... on ArtifactEvent { artifact { name mediaType size url } }
  }
}
"""
    + _PLAN
)

RUN: Final = (
    """
query Run($runId: ID!) {
  run(id: $runId) {
    number status
    task { name }
    plan { ...PlanParts }
    failure { message }
    metricSummaries { name unit count min avg max last }
    artifacts { name mediaType size url }
  }
}
"""
    + _PLAN
)


def _mutation(field: str, selection: str) -> str:
    """Write a mutation that takes one input, whose type is named after it."""
    name = f"{field[0].upper()}{field[1:]}"
    payload = f"{selection} userErrors {{ code message path }}"
    return f"mutation {name}($input: {name}Input!) {{ {field}(input: $input) {{ {payload} }} }}"


MUTATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        field: _mutation(field, selection)
        for field, selection in {
            "createTask": "task { id name }",
            "createRun": "run { id number }",
            "approveRun": "run { status }",
            "requestPlanChanges": "run { status }",
            "cancelRun": "run { status }",
        }.items()
    }
)
"""By field of the root."""

OWN_OPERATIONS: Final = (RUN_EVENTS, RUN, *MUTATIONS.values())
