"""When a file of a watched folder has stopped growing."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from castlist_client.submission.still_files import FileState, StillFiles

A, B = Path("a.mp4"), Path("b.mp4")


def test_a_file_is_still_once_it_has_not_changed_for_long_enough() -> None:
    """By its size or its time, whichever changes; each file for itself."""
    still = StillFiles(5.0)
    assert still.look({A: FileState(1, 1)}, 0.0) == []
    assert still.look({A: FileState(2, 1)}, 4.0) == []
    assert still.look({A: FileState(2, 2), B: FileState(9, 9)}, 8.0) == []
    assert still.look({A: FileState(2, 2), B: FileState(9, 9)}, 12.9) == []
    assert still.next_look(12.9) is not None
    assert still.look({A: FileState(2, 2), B: FileState(10, 9)}, 13.0) == [A]
    assert still.look({A: FileState(2, 2), B: FileState(10, 9)}, 18.0) == [A, B]
    assert still.next_look(18.0) is None


def test_an_empty_file_is_still_to_be_written() -> None:
    """However long it lies there."""
    still = StillFiles(1.0)
    for now in (0.0, 10.0, 100.0):
        assert still.look({A: FileState(0, 1)}, now) == []


def test_a_file_that_comes_back_is_new() -> None:
    """It may be another one, half written."""
    still = StillFiles(5.0)
    still.look({A: FileState(2, 2)}, 0.0)
    still.look({}, 4.0)
    assert still.look({A: FileState(2, 2)}, 6.0) == []
    assert still.look({A: FileState(2, 2)}, 11.0) == [A]


@given(st.lists(st.tuples(st.floats(0.1, 4.0), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20))
def test_no_file_is_still_that_changed_a_moment_ago(looks: list[tuple[float, int, int]]) -> None:
    """Whatever is seen of it, and whatever its own times say."""
    still, now, since, last = StillFiles(5.0), 0.0, 0.0, None
    for pause, size, mtime in looks:
        now += pause
        state = FileState(size, mtime)
        since, last = (since, last) if state == last else (now, state)
        assert still.look({A: state}, now) == ([A] if size and now - since >= 5.0 else [])
