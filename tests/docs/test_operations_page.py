"""docs/operations.md: what it lists is what there is."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.docs.blocks import DOCS
from tests.e2e.server import serving
from tests.e2e.work import ended

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
