"""Following through frames, with a detector that takes bright squares for faces."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings, FrameSize, Sighting
from castlist_vision.chunk_pipeline import analyse_chunk
from castlist_vision.faces import face_tracking
from castlist_vision.faces.best_faces import MOST
from castlist_vision.faces.detector import Detection
from castlist_vision.faces.encoder import Encoder
from castlist_vision.faces.face_tracking import FaceTracker
from castlist_vision.frames.frame import Frame
from castlist_vision.frames.geometry import Geometry, Gray
from castlist_vision.reading.chunk_plan import Chunk

WIDTH, HEIGHT = 640, 360


class SquareDetector:
    """A square of brightness 200 is a face of score 2, one of 150 a face of score -0.1."""

    judge = None

    def smallest(self, gray: Gray) -> float:
        return 40.0

    def within(self, gray: Gray, regions: Iterable[Box]) -> list[Detection]:
        return [found for region in regions for found in self._squares(gray, region)]

    def near(self, gray: Gray, faces: Iterable[Box]) -> list[Detection]:
        found = [d for face in faces for d in self._squares(gray, face.scaled(2.0).clipped(gray.shape))]
        return list(dict.fromkeys(found))

    def _squares(self, gray: Gray, region: Box) -> list[Detection]:
        part = gray[region.top : region.top + region.height, region.left : region.left + region.width]
        found = []
        for low, score in ((180, 2.0), (130, -0.1)):
            mask = ((part > low) & (part < low + 45)).astype(np.uint8)
            _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
            for left, top, width, height, area in stats[1:]:
                if area > 100:
                    box = Box(int(left) + region.left, int(top) + region.top, int(width), int(height))
                    found.append(Detection(box, score))
        return found


class CountingEncoder:
    """The mean colour 128 times."""

    name = "mean"

    def encode(self, chips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.array([[chip.mean()] * 128 for chip in chips], np.float32).reshape(-1, 128)


def frame(time: float, *squares: tuple[int, int, int, int]) -> Frame:
    """A dark frame with (left, top, width, brightness) squares."""
    gray = np.full((HEIGHT, WIDTH), 20, np.uint8)
    for left, top, width, brightness in squares:
        gray[max(top, 0) : top + width, max(left, 0) : left + width] = brightness
    coded = av.VideoFrame.from_ndarray(np.repeat(gray[:, :, None], 3, axis=2), format="rgb24")
    return Frame(time, coded, Geometry(WIDTH, HEIGHT, 0, 1.0))


def follow(*frames: Frame) -> FaceTracker:
    follower = FaceTracker(SquareDetector(), CountingEncoder(), 5.0)
    for one in frames:
        follower.look(one)
    follower.cut()
    return follower


def test_a_face_becomes_one_track_with_its_best_faces_and_a_crop() -> None:
    """Sightings at every sample, three to five faces from different half-seconds, one JPEG that shows it."""
    follower = follow(*(frame(i / 5, (100 + 5 * i, 90, 80, 200)) for i in range(60)))
    (track,) = follower.found
    assert len(track.sightings) == 60
    assert len(track.faces) == MOST
    assert len({int(face.time * 2) for face in track.faces}) == MOST
    crop = track.crop
    assert crop.frame == FrameSize(WIDTH, HEIGHT)
    assert crop.box in [seen.box for seen in track.sightings if seen.time == crop.time]
    picture = cv2.imdecode(np.frombuffer(crop.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape == (128, 128)
    assert picture[64, 64] > 180
    assert picture[4, 4] < 60


def test_a_short_track_gets_fewer_faces() -> None:
    """Two seconds of one face say little more than one."""
    (track,) = follow(*(frame(i / 5, (100, 90, 80, 200)) for i in range(10))).found
    assert len(track.faces) == 3


def test_a_cut_ends_the_track() -> None:
    """Who is in the same place afterwards is someone else until their encodings say otherwise."""
    follower = FaceTracker(SquareDetector(), CountingEncoder(), 5.0)
    for i in range(5):
        follower.look(frame(i / 5, (100, 90, 80, 200)))
    follower.cut()
    for i in range(5, 10):
        follower.look(frame(i / 5, (100, 90, 80, 200)))
    follower.cut()
    assert [len(track.sightings) for track in follower.found] == [5, 5]


class EachLookDiffers:
    """A continuity that parts a track twice a second: somebody turns and moves all the time."""

    def __init__(self, _: Encoder) -> None:
        self._looks = 0

    def is_due(self, time: float) -> bool:
        return time % 0.5 < 0.1

    def holds(self, _: Frame, __: Sighting) -> bool:
        self._looks += 1
        return self._looks == 1


def test_a_parted_track_is_one_where_the_best_faces_of_its_parts_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single look parted it; the best faces of all parts know better, and the best of these are kept."""
    monkeypatch.setattr(face_tracking, "TrackContinuity", EachLookDiffers)
    (track,) = follow(*(frame(i / 10, (100 + 2 * i, 90, 80, 200)) for i in range(60))).found
    assert track.index > 1
    assert [round(seen.time * 10) for seen in track.sightings] == list(range(60))
    assert len(track.faces) == MOST
    assert [face.time for face in track.faces] == sorted(face.time for face in track.faces)


def test_a_parted_track_stays_two_where_the_faces_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else is there from the third second on."""
    monkeypatch.setattr(face_tracking, "TrackContinuity", EachLookDiffers)
    one, other = follow(*(frame(i / 10, (100, 90, 80, 190 if i < 30 else 215)) for i in range(60))).found
    assert (len(one.sightings), len(other.sightings)) == (30, 30)


def test_a_newcomer_is_found_with_all_its_sightings() -> None:
    """Looks for new faces are a second apart, but what lies before the one that finds somebody is not lost."""
    frames = [frame(i / 5, (100, 90, 80, 200), *([(400, 90, 80, 200)] if i >= 3 else [])) for i in range(20)]
    starts = sorted(track.sightings[0].time for track in follow(*frames).found)
    assert starts == [0.0, 0.6]


@pytest.mark.parametrize("first", range(2, 8))
def test_somebody_who_is_there_for_a_second_is_seen_at_each_sample(first: int) -> None:
    """Whenever that second begins; and linked to nobody else."""
    there = range(first, first + 5)
    frames = [frame(i / 5, (100, 90, 80, 200), *([(400, 90, 60, 200)] if i in there else [])) for i in range(20)]
    _, guest = sorted(follow(*frames).found, key=lambda track: track.sightings[0].time)
    assert [seen.time for seen in guest.sightings] == [i / 5 for i in there]
    assert [seen.box for seen in guest.sightings] == [Box(400, 90, 60, 60)] * 5


def test_a_box_is_clipped_to_the_frame() -> None:
    """In sightings, faces and crop alike; what the frame does not show of it is black."""
    (track,) = follow(frame(0.0, (-20, 90, 80, 200)), frame(0.2, (-20, 90, 80, 200))).found
    assert {seen.box for seen in track.sightings} == {Box(0, 90, 60, 80)}
    assert track.crop.box == Box(0, 90, 60, 80)


def test_what_is_left_out_is_counted_by_its_reason() -> None:
    """Too small at any time; seen once and unsure."""
    follower = follow(frame(0.0, (100, 90, 30, 200), (300, 90, 80, 150)), frame(0.2))
    assert follower.found == []
    assert [(face.time, face.reason) for face in follower.left_out.kept()] == [(0.0, "too_small"), (0.0, "low_score")]
    assert follower.left_out.counts == {"too_small": 1, "low_score": 1}


def test_a_video_without_faces_has_no_tracks(make_video: Callable[..., Path]) -> None:
    """It is worked through to its end all the same, and progress says so."""
    heard: list[float] = []
    path = make_video(frames=100)
    result = analyse_chunk(path, Chunk(0, None, None), AnalysisSettings(), CountingEncoder(), heard.append)
    assert result.tracks == ()
    assert result.warnings == ()
    assert 40 <= result.frames <= 100
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert heard[len(heard) // 2] == pytest.approx(0.5, abs=0.1)


def test_a_video_of_one_frame_is_a_video(make_video: Callable[..., Path]) -> None:
    """Its one frame is looked at."""
    path = make_video(frames=1)
    assert analyse_chunk(path, Chunk(0, None, None), AnalysisSettings(), CountingEncoder()).frames == 1
