"""docs/benchmarks.md: what was measured is written between marks, with charts that are drawn from the numbers."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.charts import Bar, Chart
from benchmarks.report import ReportError, places, write
from benchmarks.results import Table

SVG = "{http://www.w3.org/2000/svg}"
PAGE = """# Benchmarks

By hand.

<!-- measured: lists -->
An old result.
<!-- end -->

In between.

<!-- measured: fanout -->
Another result.
<!-- end -->
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    made = tmp_path / "benchmarks.md"
    made.write_text(PAGE)
    return made


def table(*bars: Bar) -> Table:
    made = Table("50 runs", head=("server", "answers/s", "goal"), charts=[Chart("lists", "More is better", bars)])
    made.row("ours | here", "3,100", "met")
    made.row("theirs", "1,000")
    return made


OURS, THEIRS = Bar("ours & <more>", 300.0, "300/s", is_ours=True), Bar("theirs", 100.0, "100/s")


def test_every_benchmark_has_its_place_on_the_page() -> None:
    assert sorted(places()) == sorted(BENCHMARKS)


def test_a_result_takes_its_place_and_leaves_the_rest(page: Path) -> None:
    write("lists", table(OURS, THEIRS), ["One machine", "python -m benchmarks lists"], page)
    text = page.read_text()
    assert text.startswith("# Benchmarks\n\nBy hand.\n\n<!-- measured: lists -->\n")
    assert text.endswith(PAGE[PAGE.index("<!-- end -->") :])
    assert "An old result." not in text
    assert (
        "\n| server | answers/s | goal |\n| --- | --- | --- |\n| ours \\| here | 3,100 | met |\n| theirs | 1,000 |  |\n"
        in text
    )
    assert "![More is better](benchmarks/lists.svg)" in text
    assert "One machine<br>\npython -m benchmarks lists" in text
    assert (page.parent / "benchmarks/lists.svg").exists()


def test_writing_again_changes_nothing(page: Path) -> None:
    write("lists", table(OURS, THEIRS), ["One machine"], page)
    once = page.read_text()
    write("lists", table(OURS, THEIRS), ["One machine"], page)
    assert page.read_text() == once


@pytest.mark.parametrize("text", ["No marks.", PAGE + PAGE])
def test_a_page_without_one_place_is_refused_and_left(page: Path, text: str) -> None:
    page.write_text(text)
    with pytest.raises(ReportError, match="measured: lists"):
        write("lists", table(OURS, THEIRS), [], page)
    assert page.read_text() == text


def test_bars_are_as_long_as_their_values_and_ours_stands_out() -> None:
    root = ET.fromstring(Chart("lists", "More is better", [OURS, THEIRS]).svg())
    background, ours, theirs = root.findall(f"{SVG}rect")
    assert float(ours.attrib["width"]) == pytest.approx(3 * float(theirs.attrib["width"]), abs=0.2)
    assert ours.attrib["fill"] != theirs.attrib["fill"]
    assert (background.attrib["width"], background.attrib["fill"]) == (root.attrib["width"], "#ffffff")
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert texts == ["More is better", "ours & <more>", "300/s", "theirs", "100/s"]


def test_the_least_of_bars_is_still_seen_and_the_longest_texts_have_room() -> None:
    name, text = "the way there and back again", "1,000,000 answers a second"
    root = ET.fromstring(Chart("lists", "Far apart", [Bar(name, 1e6, text), Bar("b", 1.0, "1/s")]).svg())
    _, longest, shortest = root.findall(f"{SVG}rect")
    assert float(shortest.attrib["width"]) >= 1
    assert float(longest.attrib["width"]) > 100
    ends = {text.text: float(text.attrib["x"]) for text in root.findall(f"{SVG}text")}
    assert ends[name] > 8 * len(name)
    assert ends[text] + 8 * len(text) < float(root.attrib["width"])
