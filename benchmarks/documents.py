"""Operations that several benchmarks measure."""

from __future__ import annotations

from typing import Final

RUNS: Final = """
query Runs($first: Int, $after: String, $last: Int, $before: String, $filter: RunFilter, $order: RunOrder) {
  runs(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $order) {
    nodes {
      id number status priority labels createdAt startedAt completedAt duration
      task { id name }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
"""A page of runs with their tasks, as a dashboard shows it."""

COUNT: Final = "query Count($filter: RunFilter) { runs(first: 1, filter: $filter) { totalCount } }"

EVENTS: Final = """
query Events($first: Int, $last: Int, $before: String) {
  events(first: $first, last: $last, before: $before) {
    edges { cursor }
    nodes { id type timestamp message taskId ... on RunEvent { runId sequence status } }
  }
}
"""
"""A page of the log."""

RUN_EVENTS: Final = """
subscription RunEvents($run: ID!, $after: String) {
  runEvents(runId: $run, after: $after) { id cursor type timestamp message runId sequence status }
}
"""

ALL_EVENTS: Final = """
subscription AllEvents($after: String) {
  allEvents(after: $after) { id cursor type timestamp message taskId ... on RunEvent { runId sequence status } }
}
"""
