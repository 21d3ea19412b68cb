"""What a run said and what it made."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from domain.errors import StoreBusyError
from tests.e2e.client import Api
from tests.e2e.server import serving
from tests.e2e.work import ended, new_task

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = "nodes { cursor level message step timestamp } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


async def logs(api: Api, run: Any, arguments: str = "") -> Any:
    return (await api.run(run["id"], f"logs{arguments} {{ {PAGE} }}"))["logs"]


async def test_lines_are_in_order_and_filtered_by_step(api: Api) -> None:
    run = await ended(api, config={"logsPerStep": 3})
    everything = await logs(api, run)
    assert [line["message"] for line in everything["nodes"]][1:] == [
        f"Step {step}, line {line} of 3." for step in (1, 2) for line in (1, 2, 3)
    ]
    assert {line["level"] for line in everything["nodes"]} == {"INFO"}
    second = await logs(api, run, '(step: "step-2")')
    assert [line["step"] for line in second["nodes"]] == ["step-2"] * 3
    assert (await logs(api, run, '(step: "nothing")'))["nodes"] == []


async def test_lines_below_the_least_level_are_left_out(api: Api) -> None:
    run = await ended(api)
    assert (await logs(api, run, "(minLevel: WARNING)"))["nodes"] == []
    assert await logs(api, run, "(minLevel: DEBUG)") == await logs(api, run)


async def test_lines_are_paged_both_ways(api: Api) -> None:
    run = await ended(api, config={"steps": 1, "logsPerStep": 10, "metricsPerStep": 0})
    lines = (await logs(api, run))["nodes"]
    assert len(lines) == 11
    head = await logs(api, run, "(first: 4)")
    assert head["nodes"] == lines[:4]
    assert (head["pageInfo"]["hasNextPage"], head["pageInfo"]["hasPreviousPage"]) == (True, False)
    rest = await logs(api, run, f'(after: "{head["pageInfo"]["endCursor"]}")')
    assert rest["nodes"] == lines[4:]
    assert (rest["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasPreviousPage"]) == (False, True)
    tail = await logs(api, run, "(last: 3)")
    assert tail["nodes"] == lines[-3:]
    before = await logs(api, run, f'(last: 3, before: "{tail["pageInfo"]["startCursor"]}")')
    assert before["nodes"] == lines[-6:-3]


async def test_a_lines_cursor_in_an_event_is_good_in_the_list(api: Api) -> None:
    run = await ended(api, config={"steps": 1, "logsPerStep": 5})
    events = await api.life(run["id"], types=["LOG"], select="... on LogEvent { lines { cursor message } }")
    said = [line for event in events for line in event["lines"]]
    assert (await logs(api, run, f'(first: 2, after: "{said[1]["cursor"]}")'))["nodes"][0]["cursor"] == said[2][
        "cursor"
    ]


async def test_a_log_page_has_up_to_1000_lines(api: Api) -> None:
    run = await ended(api, config={"steps": 1, "logsPerStep": 1000})
    assert len((await logs(api, run))["nodes"]) == 200
    assert len((await logs(api, run, "(first: 1000)"))["nodes"]) == 1000
    for size in (0, -1, 1001):
        error = await api.error(f'{{ run(id: "{run["id"]}") {{ logs(first: {size}) {{ nodes {{ message }} }} }} }}')
        assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_line_cursor_is_good_in_its_own_run_only(api: Api) -> None:
    task = await new_task(api)
    one, other = await ended(api, task), await ended(api, task)
    cursor = (await logs(api, one))["nodes"][0]["cursor"]
    query = "query ($id: ID!, $after: String) { run(id: $id) { logs(after: $after) { nodes { message } } } }"
    error = await api.error(query, id=other["id"], after=cursor)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_artifact_is_fetched_where_its_url_says(api: Api) -> None:
    run = await ended(api, config={"artifactsPerStep": 1})
    (first, second) = (await api.run(run["id"], "artifacts { id name mediaType size sha256 url createdAt }"))[
        "artifacts"
    ]
    assert [first["name"], second["name"]] == ["step-1-1.md", "step-2-1.md"]
    answer = await api.http.get(api.base + first["url"])
    assert answer.content == b"# Step 1\n\nFile 1 of 1.\n"
    assert answer.headers["content-type"] == first["mediaType"] == "text/markdown"
    assert int(answer.headers["content-length"]) == len(answer.content) == first["size"]
    assert sha256(answer.content).hexdigest() == first["sha256"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    node = await api.ask("query ($id: ID!) { node(id: $id) { id ... on Artifact { name } } }", id=first["id"])
    assert node == {"node": {"id": first["id"], "name": "step-1-1.md"}}


async def test_an_artifact_that_is_known_is_not_sent_again(api: Api) -> None:
    run = await ended(api, config={"artifactsPerStep": 1})
    (artifact, _) = (await api.run(run["id"], "artifacts { url sha256 }"))["artifacts"]
    url = api.base + artifact["url"]
    head = await api.http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == f'"{artifact["sha256"]}"'
    for known in (head.headers["etag"], f"W/{head.headers['etag']}", f'"other", {head.headers["etag"]}', "*"):
        again = await api.http.get(url, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b""), known
    assert (await api.http.get(url, headers={"if-none-match": '"other"'})).status_code == 200


async def test_an_unknown_artifact_is_404(api: Api) -> None:
    for unknown in ("nothing", "artifact_00000000000000000000000000", "..%2f..%2fetc%2fpasswd"):
        assert (await api.http.get(f"{api.base}/artifacts/{unknown}")).status_code == 404


async def test_the_artifact_of_an_event_is_the_artifact(api: Api) -> None:
    run = await ended(api, config={"steps": 1, "artifactsPerStep": 2})
    fields = "id name mediaType size sha256 url createdAt"
    events = await api.life(run["id"], types=["ARTIFACT"], select=f"... on ArtifactEvent {{ artifact {{ {fields} }} }}")
    listed = (await api.run(run["id"], f"artifacts {{ {fields} }}"))["artifacts"]
    assert [event["artifact"] for event in events] == listed


async def test_an_artifact_that_can_not_be_read_now_is_worth_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as served:

        def refuse(*_: object) -> None:
            raise StoreBusyError("busy")

        monkeypatch.setattr(type(served.application.services.store), "read", refuse)
        answer = await served.api.http.get(f"{served.api.base}/artifacts/any")
        assert (answer.status_code, "try again" in answer.text) == (503, True)
