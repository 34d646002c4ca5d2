"""The demo's verdict: it says `right` for the right answer only."""

from pathlib import Path
from typing import Any

import pytest

from deploy.commands.demo import show
from deploy.commands.sample import CLIPS, expected


def profile(*clips: str) -> dict[str, Any]:
    return {"appearances": [{"video_name": clip, "seconds": 2.0} for clip in clips]}


def right_answer() -> list[dict[str, Any]]:
    return [profile(*sorted(clips)) for clips in expected().values()]


def test_the_sample_has_three_people_who_can_be_told_apart_by_their_clips() -> None:
    """Four clips with two or three people each; two of them share a frame in one."""
    answer = expected()
    assert len(answer) == 3
    assert len({frozenset(clips) for clips in answer.values()}) == 3
    assert len(CLIPS) == 4
    assert all(len({shot.person for scene in scenes for shot in scene.shots}) in (2, 3) for scenes in CLIPS.values())
    assert any(len(scene.shots) == 2 for scenes in CLIPS.values() for scene in scenes)


def test_the_right_answer_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    """In whatever order; the table names the people and leaves a dash where one is not."""
    assert show(right_answer()[::-1], expected()) is True
    out = capsys.readouterr().out
    assert "right: 3 people" in out
    assert all(name in out for name in ("Obama", "Biden", "Collins", "–", "2.0 s"))


@pytest.mark.parametrize(
    "people",
    [
        [],
        right_answer()[:2],
        [*right_answer(), profile("monday.mp4")],
        [*right_answer(), right_answer()[0]],
        [*right_answer()[:2], profile("monday.mp4", "tuesday.mp4", "wednesday.mp4", "thursday.mp4")],
    ],
    ids=["nobody", "one missing", "one too many", "one twice", "one in a clip too many"],
)
def test_any_other_answer_is_wrong(people: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """A person missing, split, doubled or seen where they are not."""
    assert show(people, expected()) is False
    assert "wrong" in capsys.readouterr().out


def test_every_picture_of_the_sample_is_one_that_the_lock_unpacks() -> None:
    """Its path lies below the prefix of a locked package."""
    from deploy.servers.lockfile import read_lock

    prefixes = tuple(item.prefix for item in read_lock().packages.values())
    pictures = {shot.picture for scenes in CLIPS.values() for scene in scenes for shot in scene.shots}
    assert all(Path(picture).as_posix().startswith(prefixes) for picture in pictures)
