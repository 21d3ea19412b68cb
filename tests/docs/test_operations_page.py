"""docs/operations.md: what it lists is what there is."""

import os
import re
import subprocess
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.backing import PostgresServer, postgres_program
from tests.docs.blocks import DOCS
from tests.e2e.server import serving
from tests.e2e.work import awaiting, ended

PAGE = DOCS / "operations.md"


async def test_every_metric_is_listed_with_its_type_and_labels(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `((?:mgx|process)_\w+)` \| (\w+) \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    listed = {name: (type_, set(re.findall(r"\w+", labels))) for name, type_, labels in rows}
    async with serving(tmp_path) as served:
        await ended(served.api)
        text = (await served.api.http.get(f"{served.api.base}/metrics")).text
    served_ = {
        family.name: (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
        for family in text_string_to_metric_families(text)
    }
    assert listed == served_


def test_alarms_name_metrics_that_there_are() -> None:
    page = PAGE.read_text()
    used = re.findall(r"mgx_\w+", "".join(re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)))
    assert used
    assert [name for name in used if f"| `{re.sub('_(total|bucket)$', '', name)}` |" not in page] == []


async def test_a_dump_of_postgresql_is_restored_as_written(
    tmp_path: Path, postgres: PostgresServer, postgres_database: str
) -> None:
    dump, restore = re.findall(r"^```sh\n((?:pg_dump|createdb).*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    source = {"database_url": postgres.url(postgres_database, driver="psycopg")}
    async with serving(tmp_path, **source) as served:
        run = await awaiting(served.api)
        _run(dump, tmp_path, postgres, postgres_database)
        (later,) = (await served.api.ask("{ events(last: 1) { edges { cursor } } }"))["events"]["edges"]
    _run(restore, tmp_path, postgres, postgres_database)
    try:
        restored = {"database_url": postgres.url(f"{postgres_database}_restored", driver="psycopg")}
        async with serving(tmp_path, **restored) as served:
            await served.api.do("approveRun", {"runId": run["id"], "approved": True})
            events = await served.api.life(run["id"])
            assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
            assert events[-1]["type"] == "COMPLETION"
            error = await served.api.error(
                f'{{ events(first: 1, after: "{later["cursor"]}") {{ edges {{ cursor }} }} }}'
            )
            assert error["extensions"]["code"] == "BAD_USER_INPUT"
    finally:
        postgres.sql(f"DROP DATABASE {postgres_database}_restored WITH (FORCE)")


def _run(commands: str, folder: Path, postgres: PostgresServer, database: str) -> None:
    """Run commands of the page, with a server and a database of ours in the place of the page's."""
    base = postgres.url("")
    ours = commands.replace("postgresql://mgx@db.internal/mgx", base + database)
    ours = ours.replace("postgresql://mgx@db.internal/", base).replace(" mgx_restored\n", f" {database}_restored\n")
    env = {**os.environ, "PATH": f"{postgres_program('pg_dump').parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-euc", ours], cwd=folder, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
