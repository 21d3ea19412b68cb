"""GraphiQL as a person uses it, against the real server."""

from typing import Any

import httpx
import pytest

from tests.browser.graphiql_page import GraphiQLPage

pytestmark = pytest.mark.browser

TABS = ["CreateTask", "StartRun", "ApproveRun", "FollowRun", "InspectRun"]
START = """
mutation ($task: CreateTaskInput!) { createTask(input: $task) { task { id } userErrors { message } } }
"""
RUN = "mutation ($taskId: ID!) { createRun(input: {taskId: $taskId}) { run { id } userErrors { message } } }"
APPROVE = "mutation ($runId: ID!) { approveRun(input: {runId: $runId}) { userErrors { message } } }"
REHEARSAL = {"name": "Rehearsal", "team": "rehearsal", "config": {"steps": 2, "stepSeconds": 0.1}}


def test_the_example_operations_stand_ready_in_tabs_with_their_variables(page: GraphiQLPage) -> None:
    assert page.tabs() == TABS
    for number, title in enumerate(TABS, start=1):
        page.go_to(title)
        assert page.operation().startswith(f"# {number} of 5: ")
        assert page.variables() != ""


def test_a_second_visit_finds_the_tabs_as_they_were_left(page: GraphiQLPage) -> None:
    page.open()
    assert page.tabs() == TABS
    assert "Analyze Sales Data" in page.variables()


def test_the_tabs_lead_from_a_new_task_to_its_results(page: GraphiQLPage) -> None:
    page.run()
    task_id = page.answer()["data"]["createTask"]["task"]["id"]

    page.go_to("StartRun")
    page.fill_in(task_id)
    page.run()
    run_id = page.answer()["data"]["createRun"]["run"]["id"]

    page.go_to("FollowRun")
    page.fill_in(run_id)
    page.run()
    page.answer(lambda shown: "APPROVAL_REQUIRED" in types(shown))

    page.go_to("ApproveRun")
    page.fill_in(run_id)
    page.run()
    assert page.answer()["data"]["approveRun"]["userErrors"] == []

    page.go_to("FollowRun")
    page.run()
    assert page.answer(lambda shown: "ended" in shown)["ended"] == "complete"

    page.go_to("InspectRun")
    page.fill_in(run_id)
    page.run()
    run = page.answer()["data"]["run"]
    assert run["status"] == "COMPLETED"
    assert {step["status"] for step in run["plan"]["steps"]} == {"COMPLETED"}
    assert run["metrics"]["nodes"]
    assert run["artifacts"]


def test_a_subscription_shows_events_while_they_happen(page: GraphiQLPage, api: httpx.Client) -> None:
    run_id = start_rehearsal(api)
    page.go_to("FollowRun")
    page.fill_in(run_id)
    page.run()
    waiting = page.answer(lambda shown: "APPROVAL_REQUIRED" in types(shown))
    assert "ended" not in waiting

    send(api, APPROVE, runId=run_id)

    shown = page.answer(lambda shown: "ended" in shown)
    sequences = [answer["data"]["runEvents"]["sequence"] for answer in shown["newestFirst"]]
    assert shown["ended"] == "complete"
    assert sequences == list(range(shown["received"], 0, -1))
    assert types(shown)[0] == "COMPLETION"
    assert "COMPLETION" in page.visible_answer()


def test_a_refused_subscription_says_why_and_leaves_the_page_working(page: GraphiQLPage) -> None:
    page.go_to("FollowRun")
    page.fill_in("no-such-run")
    page.run()
    shown = page.answer(lambda shown: "ended" in shown)
    assert shown["ended"] == "refused"
    assert shown["errors"][0]["extensions"]["code"] == "NOT_FOUND"

    page.go_to("CreateTask")
    page.run()
    assert page.answer()["data"]["createTask"]["task"]["name"] == "Analyze Sales Data"


def test_a_tab_runs_its_own_operation_however_soon_it_is_run(page: GraphiQLPage) -> None:
    page.go_to_and_run("FollowRun")
    shown = page.answer(lambda shown: "ended" in shown)
    assert shown["errors"][0]["extensions"]["code"] == "NOT_FOUND"

    page.go_to_and_run("CreateTask")
    assert page.answer()["data"]["createTask"]["task"]["name"] == "Analyze Sales Data"

    page.write_and_run("{ __typename }")
    assert page.answer() == {"data": {"__typename": "Query"}}

    page.write_and_run("query One { a: __typename } query Other { __typename }")
    assert "several operations" in page.answer()["errors"][0]["message"]


def test_nothing_leaves_the_origin_and_the_browser_has_no_complaint(page: GraphiQLPage, api: httpx.Client) -> None:
    assert "Subscription" in page.show_documentation()
    page.run()
    page.answer()
    page.go_to("FollowRun")
    page.fill_in(start_rehearsal(api))
    page.run()
    page.answer(lambda shown: "APPROVAL_REQUIRED" in types(shown))

    assert page.requested_origins() == {page.origin, page.origin.replace("http", "ws")}
    assert page.complaints() == []


def test_the_policy_stops_a_request_to_another_origin(page: GraphiQLPage) -> None:
    assert page.fetch("http://127.0.0.1:9/") == "refused"
    assert "Content Security Policy" in "".join(page.complaints())


def start_rehearsal(api: httpx.Client) -> str:
    """Start a run that waits for approval soon and is done soon after it."""
    task_id = send(api, START, task=REHEARSAL)["createTask"]["task"]["id"]
    return str(send(api, RUN, taskId=task_id)["createRun"]["run"]["id"])


def send(api: httpx.Client, query: str, **variables: object) -> dict[str, Any]:
    answer = api.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    data: dict[str, Any] = answer["data"]
    assert all(payload["userErrors"] == [] for payload in data.values()), data
    return data


def types(shown: dict[str, Any]) -> list[str]:
    """The types of the events in the response pane, newest first."""
    return [answer["data"]["runEvents"]["type"] for answer in shown["newestFirst"]]
