"""Ids name their kind and ascend in the order of creation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import IdFactory, Kind, kind_of

ID = IdFactory(milliseconds=lambda: 1_763_890_200_000, entropy=lambda bits: 2**bits - 1)


@given(
    clock=st.lists(st.integers(0, 2**48 - 2), min_size=1, max_size=20),
    entropy=st.integers(0, 2**80 - 1),
)
def test_ids_ascend_even_when_the_clock_stands_or_goes_back(clock: list[int], entropy: int) -> None:
    times = iter(clock)
    factory = IdFactory(milliseconds=lambda: next(times), entropy=lambda _: entropy)

    ids = [factory.new(Kind.RUN) for _ in clock]

    assert ids == sorted(set(ids))


@pytest.mark.parametrize("kind", Kind)
def test_an_id_names_its_kind(kind: Kind) -> None:
    id_ = IdFactory().new(kind)

    assert id_.startswith(f"{kind}_")
    assert kind_of(id_) is kind


def test_an_id_begins_with_its_time_and_goes_on_at_random() -> None:
    assert ID.new(Kind.TASK) == "task_01kar0rze0zzzzzzzzzzzzzzzz"
    assert IdFactory().new(Kind.RUN) != IdFactory().new(Kind.RUN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run",
        "run_",
        "_01kar0rze0zzzzzzzzzzzzzzzz",
        "run_01kar0rze0zzzzzzzzzzzzzzz",
        "run_01kar0rze0zzzzzzzzzzzzzzzzz",
        "run_01KAR3WJ60ZZZZZZZZZZZZZZZZ",
        "run_01kar0rze0zzzzzzzzzzzzzzzu",
        "run-01kar0rze0zzzzzzzzzzzzzzzz",
        "Run_01kar0rze0zzzzzzzzzzzzzzzz",
        "event_01kar0rze0zzzzzzzzzzzzzzzz",
        " run_01kar0rze0zzzzzzzzzzzzzzzz",
        "run_01kar0rze0zzzzzzzzzzzzzzz\n",
    ],
)
def test_a_text_that_is_no_id_has_no_kind(text: str) -> None:
    assert kind_of(text) is None
