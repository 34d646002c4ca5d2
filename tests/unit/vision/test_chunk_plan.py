"""Cutting a video into chunks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from castlist_vision.reading.chunk_plan import Chunk, plan_chunks

seconds = st.floats(min_value=0, max_value=4000, allow_nan=False)


@given(st.lists(seconds, max_size=60), seconds, st.lists(st.floats(allow_nan=False), max_size=20))
def test_every_moment_is_in_exactly_one_chunk(keyframes: list[float], duration: float, moments: list[float]) -> None:
    """Whatever the keyframes, and also before the start, behind the end and at the cuts themselves."""
    chunks = plan_chunks(keyframes, duration)
    edges = [edge for chunk in chunks for edge in (chunk.start, chunk.end) if edge is not None]
    for moment in [*moments, *edges, *keyframes, math.inf, -math.inf]:
        assert sum(chunk.holds(moment) for chunk in chunks) == 1
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))


@given(st.lists(seconds, max_size=60), seconds)
def test_the_plan_does_not_depend_on_the_order_of_keyframes(keyframes: list[float], duration: float) -> None:
    """A redone plan is the same plan."""
    assert plan_chunks(keyframes, duration) == plan_chunks(sorted(keyframes, reverse=True), duration)


def test_chunks_begin_at_keyframes_about_15_seconds_apart() -> None:
    """A keyframe every two seconds: every cut is one of them."""
    keyframes = [2.0 * i for i in range(60)]
    chunks = plan_chunks(keyframes, 120.0)
    starts = [chunk.start for chunk in chunks if chunk.start is not None]
    assert all(start in keyframes for start in starts)
    lengths = [b - a for a, b in zip([0.0, *starts], [*starts, 120.0], strict=True)]
    assert all(11.0 <= length <= 19.0 for length in lengths[:-1])
    assert 3.0 <= lengths[-1] <= 22.5


def test_a_short_video_is_one_chunk() -> None:
    """Nothing to cut; and no sliver of a second chunk either."""
    assert plan_chunks([0.0, 2.0], 2.5) == (Chunk(0, None, None),)
    assert plan_chunks([0.0, 15.0], 16.0) == (Chunk(0, None, None),)
    assert plan_chunks([], 0.0) == (Chunk(0, None, None),)


@pytest.mark.parametrize(("duration", "pieces"), [(29.0, 1), (60.0, 4), (3600.0, 8)])
def test_a_stretch_without_keyframes_is_cut_by_time(duration: float, pieces: int) -> None:
    """Beyond 30 s, into eight at most: each of them decodes from the one keyframe."""
    assert len(plan_chunks([0.0], duration)) == pieces
