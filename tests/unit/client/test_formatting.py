"""How the client words what it shows."""

import pytest

from castlist.api.change_history import Change
from castlist.api.tasks import Task
from castlist.contract.values import Segment
from castlist_client.display.formatting import count, length, moment, moments, outcome, preview_text, printable, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00.0"), (4.24, "0:04.2"), (59.96, "1:00.0"), (75.5, "1:15.5"), (599.94, "9:59.9"),
        (599.96, "10:00"), (727.9, "12:07"), (3600, "1:00:00"), (3723, "1:02:03"), (-0.02, "0:00.0"),
    ],
)  # fmt: skip
def test_a_moment_reads_as_in_a_player(seconds: float, text: str) -> None:
    """Tenths while they matter; no carry is lost to rounding."""
    assert moment(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.84, "0.8 s"), (9.96, "10 s"), (59.7, "1 min"), (200, "3 min 20 s"), (3599.8, "1 h"), (3900, "1 h 5 min")],
)
def test_a_length_reads_as_one_says_it(seconds: float, text: str) -> None:
    """Two units at most, never sixty of one."""
    assert length(seconds) == text


def test_segments_are_listed_and_cut_short() -> None:
    """What is left out is counted; nothing is left out for the sake of one."""
    segments = [Segment(start=i, end=i + 0.5) for i in range(5)]
    assert moments(segments[:2]) == "0:00.0–0:00.5, 0:01.0–0:01.5"
    assert moments(segments, 5).count("–") == 5
    assert moments(segments, 4) == "0:00.0–0:00.5, 0:01.0–0:01.5, 0:02.0–0:02.5 and 2 more"


def test_a_segment_within_a_tenth_is_one_moment() -> None:
    """Somebody seen in one frame."""
    assert span(Segment(start=3.21, end=3.22)) == "0:03.2"


def test_numbers_take_their_plural() -> None:
    """Also the irregular one, and none."""
    assert [count(n, "person", "people") for n in (0, 1, 1200)] == ["0 people", "1 person", "1,200 people"]


def test_names_cannot_steer_the_terminal() -> None:
    """Escape sequences, line breaks and direction overrides in a file's name are shown as what they are."""
    assert printable("a\x1b[31m\nb\u202egpj.mp4 é") == "a\ufffd[31m\ufffdb\ufffdgpj.mp4 é"


def test_nobody_found_because_faces_are_too_small_is_said() -> None:
    """Not where somebody was found, nor where other reasons left faces out."""
    schema = Task.model_config["json_schema_extra"]
    assert isinstance(schema, dict)
    example = Task.model_validate(schema["example"])

    def said(people: int, **skipped: int) -> str:
        done = {"status": "done", "people": people, "faces_skipped": skipped, "warnings": []}
        return outcome(example.model_copy(update=done))

    assert said(0, too_small=4) == "done · nobody in it, but faces that are too small"
    assert said(0, low_score=4) == "done · nobody in it"
    assert said(2, too_small=4) == "done · 2 people"


def test_a_dry_run_is_told_line_by_line() -> None:
    """Who would be one, who several, what would go; and that there are more of them."""
    detail = {
        "distance": {"now": 0.46, "then": 0.6}, "profiles": {"now": 3, "then": 2}, "merges": 2, "merged": [["p", "q"]],
        "splits": 1, "split": [{"profile": "r", "into": 2}],
        "retention": {"videos": 2, "video_ids": ["a", "b"], "people": 1, "profile_ids": ["p"]},
    }  # fmt: skip
    example = Change.model_config["json_schema_extra"]["example"]  # type: ignore[index]
    change = Change.model_validate({**example, "detail": detail})  # type: ignore[dict-item]
    assert preview_text(change).splitlines() == [
        "3 people would be 2, with a distance of 0.6 in the place of 0.46",
        "would be one: p q",
        "would be 2: r",
        "and 1 more that would merge, 0 more that would split",
        "older than it would be kept: 2 videos, 1 person",
    ]
