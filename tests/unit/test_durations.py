"""Durations, counted in buckets."""

from domain.durations import BOUNDS, Durations


def test_each_bucket_counts_what_took_no_longer_than_its_end() -> None:
    durations = Durations()
    for seconds in (0.0, 0.5, 0.75, 2.5, 11.0):
        durations.add(seconds)
    counted = dict(zip((*BOUNDS, None), durations.cumulated, strict=True))
    ends = (0.0005, 0.5, 1.0, 2.5, 10.0, None)
    assert [counted[end] for end in ends] == [1, 2, 3, 4, 4, 5]
    assert durations.seconds == 14.75
