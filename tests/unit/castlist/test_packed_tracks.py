"""What is kept of tracks, and in how many documents."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from castlist.contract.box import Box
from castlist.contract.values import Sighting
from castlist.store import packed_tracks
from castlist.store.packed_tracks import EVERY, PART_BYTES, KeptTrack, kept, packed, unpacked

TIMES = st.lists(st.floats(-2, 90_000), min_size=1, max_size=60, unique_by=lambda time: round(time, 3))


def sightings(times: list[float]) -> list[Sighting]:
    return [Sighting(time, Box(n, 2, 1_000_000, 4), -1.0) for n, time in enumerate(times)]


def track(chunk: int, start: float, count: int) -> KeptTrack:
    found = kept(chunk, 0, sightings([start + n for n in range(count)]))
    assert found is not None
    return found


@given(times=TIMES)
def test_first_and_last_are_kept_and_a_few_a_second_between(times: list[float]) -> None:
    """In the order of time, to the millisecond; none that was left out is far from one that was kept."""
    found = kept(3, 9, sightings(times))
    assert found is not None
    got = [box[0] for box in found.boxes()]
    exact = sorted(round(time, 3) for time in times)
    assert (got[0], got[-1]) == (exact[0], exact[-1]) == (found.start, found.end)
    assert got == sorted(got)
    assert set(got) <= set(exact)
    assert all(after - before >= EVERY - 0.001 for before, after in itertools.pairwise(got[:-1]))
    assert all(min(abs(time - other) for other in got) < EVERY + 0.001 for time in exact)


def test_what_is_sampled_five_times_a_second_is_kept_whole() -> None:
    """That is what workers do unless they are told otherwise; a clock that wavers a little does not matter."""
    times = [n / 5 + (0.002 if n % 2 else 0) for n in range(75)]
    found = kept(0, 0, sightings(times))
    assert found is not None
    assert len(found.boxes()) == 75


def test_a_track_without_sightings_is_none() -> None:
    """There is nothing to draw."""
    assert kept(0, 0, []) is None


def test_a_box_is_what_was_seen() -> None:
    """Time, left, top, width, height, score: whole pixels, and scores to three digits."""
    found = kept(0, 0, [Sighting(86_400.1234, Box(5, 6, 70, 80), 1.23456)])
    assert found is not None
    assert found.boxes() == [[86_400.123, 5, 6, 70, 80, 1.235]]


@pytest.mark.slow
def test_documents_are_bounded_and_in_the_order_of_time() -> None:
    """All tracks come back, the first seen first, and none is cut."""
    tracks = [track(n, float((n * 37) % 997), 200) for n in range(997)]
    parts = list(packed(tracks))
    assert all(len(part.tracks) < PART_BYTES + 200 * 24 + 12 for part in parts)
    assert len(parts) == -(-997 * (200 * 24 + 12) // PART_BYTES)
    back = [one for part in parts for one in unpacked(part.tracks)]
    assert [one.start for one in back] == sorted(one.start for one in tracks)
    assert {one.chunk: one.boxes() for one in back} == {one.chunk: one.boxes() for one in tracks}
    for part in parts:
        times = [time for one in unpacked(part.tracks) for time in (one.start, one.end)]
        assert (part.start, part.end) == (min(times), max(times))
    assert packed_tracks.tracks_in(b"") == []
