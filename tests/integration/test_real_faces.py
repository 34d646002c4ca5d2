"""The stages of frame-workers on the sample's portraits: what generated pictures cannot show of models."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import dlib
import numpy as np
import pytest
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings
from castlist.contract.vectors import VectorFace
from castlist.service.settings import Settings
from castlist_identity.videos.video_people import PeopleSettings
from castlist_vision.chunk_pipeline import analyse_chunk
from castlist_vision.faces.auto_detector import AutoDetector
from castlist_vision.faces.centerface import CenterFace
from castlist_vision.faces.detector import FaceDetector
from castlist_vision.faces.encoder import AGREEMENT, DlibEncoder
from castlist_vision.faces.found_track import FoundTrack
from castlist_vision.faces.onnx_encoder import OnnxEncoder
from castlist_vision.frames.geometry import Colour
from castlist_vision.reading.chunk_plan import Chunk, plan_chunks
from castlist_vision.reading.probe import probe
from deploy.commands.sample import CLIPS, WIDTH, expected
from testkit import clips

SIZES = range(80, 100, 3)
"""Widths of a face in pixels, from one step of dlib's pyramid to the next."""
pytestmark = pytest.mark.stack  # for the sample alone, whose pictures are fetched with the servers


class BothEncoders:
    """ONNX Runtime's, with a note for each face of how far dlib's own lies from it."""

    name = "both"

    def __init__(self, cache: Path) -> None:
        self._encoder, self._reference = OnnxEncoder(cache), DlibEncoder()
        self.apart: list[float] = []

    def encode(self, chips: Sequence[Colour]) -> NDArray[np.float32]:
        encodings = self._encoder.encode(chips)
        self.apart += np.linalg.norm(encodings - self._reference.encode(chips), axis=1).tolist()
        return encodings


def who(clip: str, face: VectorFace) -> str:
    """Whom the clip shows there and then."""
    until = 0.0
    for scene in CLIPS[clip]:
        until += scene.seconds
        if face.time < until:
            middle = face.box.left + face.box.width / 2
            return scene.shots[int(middle / WIDTH * len(scene.shots))].person
    raise AssertionError(f"{clip} has ended by {face.time}")


def test_both_encoders_give_the_same_numbers_for_real_faces() -> None:
    """For every face that the pipeline encodes of the four clips, and its mirror image; each person is among them."""
    encoder = BothEncoders(Settings().castlist_cache)
    seen: dict[str, set[str]] = {}
    faces = 0
    for clip in CLIPS:
        found = analyse_chunk(clips.sample(Path(clip).stem), Chunk(0, None, None), AnalysisSettings(), encoder)
        for face in (face for track in found.tracks for face in track.faces):
            seen.setdefault(who(clip, face), set()).add(clip)
            faces += 1
    assert seen == expected()
    assert faces >= 20
    assert len(encoder.apart) >= 2 * faces
    assert max(encoder.apart) < AGREEMENT


@pytest.mark.parametrize("detector", ["hog", "cnn"])
def test_a_face_little_larger_than_the_smallest_wanted_is_found(detector: Any) -> None:
    """Both detectors see faces from about 80 pixels on: what they look at is scaled for that."""
    settings = AnalysisSettings(detector=detector)
    image = cv2.cvtColor(clips.frames("wednesday")[0], cv2.COLOR_RGB2GRAY)  # two faces, of 150 pixels
    factor = 1.1 * settings.smallest_face / 150
    gray = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    found = FaceDetector(settings).within(gray, [Box(0, 0, gray.shape[1], gray.shape[0])])
    assert [one.box.left > gray.shape[1] / 2 for one in sorted(found, key=lambda one: one.box.left)] == [False, True]


def test_the_judge_is_nearly_as_sure_of_a_face_as_hog_is_of_it_at_its_best_size() -> None:
    """HOG's answer depends on how a face falls between two steps of its pyramid: by more than half of its score, at
    any single size that one may choose. Nobody need be missed for that."""
    detector = AutoDetector(CenterFace(Settings().castlist_cache), smallest_face=40)
    hog = dlib.get_frontal_face_detector()
    shares = []
    for clip in CLIPS:
        gray = np.asarray(cv2.cvtColor(clips.frames(Path(clip).stem)[0], cv2.COLOR_RGB2GRAY), np.uint8)
        for found in detector.within(gray, [Box(0, 0, gray.shape[1], gray.shape[0])]):
            judged = detector.judge(gray, found.box)
            area = found.box.scaled(1.5).clipped(gray.shape)
            part = gray[area.top : area.bottom, area.left : area.right]
            sizes = (cv2.resize(part, None, fx=size / found.box.width, fy=size / found.box.width) for size in SIZES)
            best = max(max(hog.run(one, 0, 0)[1], default=0) for one in sizes)
            shares.append((judged.score if judged else 0.0) / best)
    assert len(shares) >= len(CLIPS)
    assert min(shares) > 0.65
    assert np.mean(shares) > 0.85


def test_the_slower_detector_finds_the_same_people() -> None:
    """Two side by side: in the same places, as alike as one person is, and sure enough for who gathers people."""
    encoder, rules = OnnxEncoder(Settings().castlist_cache), PeopleSettings()
    hog, cnn = (
        analyse_chunk(clips.sample("wednesday"), Chunk(0, None, 0.7), AnalysisSettings(detector=name), encoder)
        for name in ("hog", "cnn")
    )
    assert len(hog.tracks) == len(cnn.tracks) == 2
    for track in hog.tracks:
        (same,) = (one for one in cnn.tracks if np.linalg.norm(mean(one) - mean(track)) < rules.distance)
        assert [seen.time for seen in same.sightings] == [seen.time for seen in track.sightings]
        for ours, theirs in zip(same.sightings, track.sightings, strict=True):
            assert ours.box.overlap(theirs.box) > 0.5
        assert max(seen.score for seen in same.sightings) >= rules.min_score
        assert same.crop.quality > 0.5


def mean(track: FoundTrack) -> NDArray[np.float32]:
    """Of its faces' encodings."""
    return np.asarray(np.mean([face.encoding for face in track.faces], axis=0), np.float32)


@pytest.mark.parametrize(("container", "held"), [("ts", False), ("mp4", True)])
def test_nobody_is_held_where_pictures_are_missing(container: str, held: bool, tmp_path: Path) -> None:
    """Eight seconds without a picture: one file says that the one before is shown so long, the other does not."""
    path = tmp_path / f"gap.{container}"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", 25, options={"bf": "0", "g": "12"})
        stream.pix_fmt, stream.width, stream.height = "yuv420p", *clips.frames("monday")[0].shape[1::-1]
        for number, image in enumerate(clips.frames("monday")[:60]):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number + (200 if number >= 36 else 0), Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    found = probe(path)
    (chunk,) = plan_chunks(found.keyframes, found.duration, found.stretches, found.holes)
    result = analyse_chunk(path, chunk, AnalysisSettings(), DlibEncoder())
    times = [sighting.time for track in result.tracks for sighting in track.sightings]
    assert min(times) < 0.5
    assert max(times) > 10.0
    assert any(2.0 < time < 9.0 for time in times) == held
    assert [one.code for one in found.warnings] == ([] if held else ["gap"])
