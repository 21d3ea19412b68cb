"""Finding things by id, and what the server says about itself."""

import pytest

from tests.e2e.client import Api
from tests.e2e.work import ended

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_node_is_found_by_its_id_whatever_it_is(api: Api) -> None:
    run = await ended(api, config={"artifactsPerStep": 1})
    below = await api.run(run["id"], "artifacts { id } metrics(first: 1) { nodes { id } }")
    ids = [
        run["id"],
        below["metrics"]["nodes"][0]["id"],
        run["taskId"],
        "nothing",
        below["artifacts"][0]["id"],
        run["id"],
    ]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    found = (await api.ask(query, ids=ids))["nodes"]
    kinds = ["Run", "Metric", "Task", None, "Artifact", "Run"]
    assert found == [kind and {"__typename": kind, "id": id_} for kind, id_ in zip(kinds, ids, strict=True)]
    single = await api.ask("query ($id: ID!) { node(id: $id) { id ... on Run { status } } }", id=run["id"])
    assert single == {"node": {"id": run["id"], "status": "COMPLETED"}}


async def test_an_unknown_id_or_one_of_another_type_is_null(api: Api) -> None:
    run = await ended(api)
    query = """query ($id: ID!, $other: ID!) {
      node(id: $id) { id } task(id: $other) { id } run(id: $id) { id } metric(id: $other) { id }
    }"""
    found = await api.ask(query, id="nothing", other=run["id"])
    assert found == {"node": None, "task": None, "run": None, "metric": None}
    assert await api.run(run["taskId"]) is None
    assert await api.task("") is None
    assert await api.task(run["taskId"].upper()) is None


async def test_nodes_takes_at_most_100_ids(api: Api) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert (await api.ask(query, ids=["nothing"] * 100))["nodes"] == [None] * 100
    assert (await api.ask(query, ids=[]))["nodes"] == []
    error = await api.error(query, ids=["nothing"] * 101)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_teams_say_what_they_take(api: Api) -> None:
    teams = (await api.ask("{ teams { name description configSchema } }"))["teams"]
    assert {"playbook", "rehearsal"} <= {team["name"] for team in teams}
    assert all(team["description"] for team in teams)
    rehearsal = next(team for team in teams if team["name"] == "rehearsal")
    assert rehearsal["configSchema"]["properties"]["steps"]["maximum"] == 1000


async def test_the_feed_counts_its_subscribers(api: Api) -> None:
    select = "{ feed { instance connections subscribers delivered catchingUp lagMs bell } }"
    run = await ended(api)
    before = (await api.ask(select))["feed"]
    assert before["instance"]
    life = await api.life(run["id"])
    after = (await api.ask(select))["feed"]
    assert after["delivered"] == before["delivered"] + len(life)
    async with api.following("allEvents") as _, api.following("allEvents", sse=True) as _:
        while (feed := (await api.ask(select))["feed"])["subscribers"] < 2:
            pass
        assert feed["connections"] >= 2
        assert feed["catchingUp"] >= 0
        assert feed["lagMs"] >= 0
        assert feed["bell"] == "CONNECTED"
