"""People who come, go and change into one another, as workers and aggregator see them: clips made of the sample."""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from castlist.contract.box import Box

# Behind everything else: bench/ingest.py is not the service.
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from recall import finds, frames_of, heads, with_guest
from stages import Models, load_models, settings_for, tracks, work

from castlist.contract.values import AnalysisSettings
from castlist.service.settings import Settings
from castlist_identity.domain import VideoPerson
from castlist_identity.videos.video_people import people_of_video
from testkit import clips

pytestmark = pytest.mark.stack  # for the sample alone, whose pictures are fetched with the servers

Image = NDArray[np.uint8]
RATE = 25


@cache
def models() -> Models:
    return load_models(Settings().castlist_cache)


@pytest.fixture(params=["auto", "hog"])
def settings(request: pytest.FixtureRequest) -> AnalysisSettings:
    """Of a gallery of now, and of one of before."""
    return settings_for(request.param)


def people(path: Path, settings: AnalysisSettings) -> Sequence[VideoPerson]:
    """Who is found in a clip, in the order in which they are first seen."""
    return people_of_video(tracks(work(path, models(), settings)[1])).people


def fade(one: Image, other: Image, share: float) -> Image:
    """One picture shines through the other."""
    return (one * (1 - share) + other * share).astype(np.uint8)


def wipe(one: Image, other: Image, share: float) -> Image:
    """One picture is pushed out by the other."""
    edge = round(one.shape[1] * share)
    return np.hstack([other[:, :edge], one[:, edge:]])


@pytest.mark.parametrize(("glide", "seconds"), [(fade, 1.0), (fade, 0.4), (wipe, 0.4)])
def test_one_face_gliding_into_another_is_two_people(
    glide: Callable[[Image, Image, float], Image], seconds: float, tmp_path: Path, settings: AnalysisSettings
) -> None:
    """They are in the same place, and no cut lies between them: each has only the time that is their own."""
    both, length = clips.frames("monday"), round(seconds * RATE)
    obama, biden = both[: 3 * RATE], both[-3 * RATE :]
    between = [glide(obama[2 * RATE + i], biden[i], i / length) for i in range(length)]
    first, second = people(
        clips.write(tmp_path / "glide.mp4", [*obama[: 2 * RATE], *between, *biden[length:]]), settings
    )
    assert first.first_seen < 0.3
    assert 1.7 <= first.last_seen < second.first_seen <= 2.3 + seconds
    assert second.last_seen > 4.7


def test_slides_show_each_person_for_as_long_as_they_stand(tmp_path: Path, settings: AnalysisSettings) -> None:
    """One picture a second: each person is in one frame, and is there until the next one comes."""
    monday, tuesday = clips.frames("monday"), clips.frames("tuesday")
    path = clips.write(tmp_path / "slides.mp4", [monday[0], monday[-1], tuesday[0], monday[5]], rate=1)
    found = people(path, settings)
    assert [[round(segment.start) for segment in one.segments] for one in found] == [[0, 3], [1], [2]]
    assert all(0.7 <= segment.end - segment.start <= 1.0 for one in found for segment in one.segments)


@pytest.mark.parametrize("moving", [True, False], ids=["moving camera", "still camera"])
@pytest.mark.parametrize(
    ("clip", "face", "start"),
    [
        ("wednesday", Box(185, 344, 105, 105), 0.48),
        ("wednesday", Box(48, 371, 71, 71), 0.85),
        ("tuesday", Box(434, 190, 60, 60), 0.50),
        ("thursday", Box(20, 30, 70, 70), 0.55),
    ],
)
def test_a_guest_of_one_second_is_found_anywhere(
    clip: str, face: Box, start: float, moving: bool, tmp_path: Path, settings: AnalysisSettings
) -> None:
    """In front of another person's body, beside a larger face, in a corner; between two looks at the whole picture."""
    frames = frames_of(clips.sample(clip))
    if not moving:
        frames = [frames[0]] * len(frames)
    guest = heads(Settings().castlist_cache)[0 if clip == "wednesday" else 1]
    case = with_guest(frames, guest, face, start, 1.0, 0.9)
    assert finds(clips.write(tmp_path / "guest.mp4", case.frames), case, models(), settings)
