"""How the warnings of many chunks become those of a task."""

from castlist.contract.values import VideoWarning
from castlist.contract.video_warnings import MOST_OF_A_CODE, summed_up, warning


def test_stretches_that_meet_are_one_and_each_thing_is_told_once() -> None:
    """Whatever order they come in; what has no place stays without one."""
    whole = warning("pictures_lost")
    told = [
        warning("damaged", 30.0, 31.0),
        whole,
        warning("damaged", 10.0, 20.0),
        warning("damaged", 15.0, 30.0),
        whole,
    ]
    expected = (warning("damaged", 10.0, 31.0), whole)
    assert summed_up(told) == summed_up(reversed(told)) == expected


def test_many_places_are_told_as_fewer_longer_ones() -> None:
    """None is left out, and those that are nearest to each other become one."""
    told = [warning("gap", 10.0 * i, 10.0 * i + 1 + i * 0.1) for i in range(3 * MOST_OF_A_CODE)]
    (*shorter, last) = summed_up(told)
    assert len(shorter) == MOST_OF_A_CODE - 1
    assert shorter[0] == told[0]
    assert last.end == told[-1].end
    for one in told:
        assert any(_within(one, other) for other in [*shorter, last])


def _within(one: VideoWarning, other: VideoWarning) -> bool:
    assert None not in (one.start, one.end, other.start, other.end)
    return bool(other.start <= one.start and one.end <= other.end)  # type: ignore[operator]
