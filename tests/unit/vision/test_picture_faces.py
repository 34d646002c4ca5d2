"""The faces of a picture, found and encoded as those of a video are."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from castlist.contract.box import Box
from castlist.contract.values import NEW_GALLERY, AnalysisSettings
from castlist_vision.chunk_pipeline import analyse_chunk
from castlist_vision.faces.centerface import CenterFace, ModelUnavailableError
from castlist_vision.faces.encoder import Encoder, make_encoder
from castlist_vision.pictures.decode_picture import decode_picture
from castlist_vision.pictures.picture_faces import MOST_FACES, PictureFace, faces_in
from castlist_vision.reading.chunk_plan import Chunk
from testkit import clips

SETTINGS = NEW_GALLERY.analysis
CACHE = Path(os.environ.get("CASTLIST_CACHE") or Path.home() / ".cache" / "castlist")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """As workers have it."""
    return make_encoder("onnx", CACHE)


@pytest.fixture(scope="module")
def centerface() -> CenterFace:
    """As workers have it."""
    return CenterFace(CACHE)


def looked_at(
    picture: NDArray[np.uint8], encoder: Encoder, centerface: CenterFace | None, **how: str
) -> list[PictureFace]:
    """The faces of a picture that comes as a PNG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    settings = AnalysisSettings(**{**{name: getattr(SETTINGS, name) for name in SETTINGS.__slots__}, **how})
    return faces_in(decode_picture(file), settings, encoder, centerface)


def test_everybody_is_found_the_largest_first(encoder: Encoder, centerface: CenterFace) -> None:
    """Two people side by side: each with a box, a crop and an encoding of their own."""
    found = looked_at(clips.frames("wednesday")[10], encoder, centerface)
    assert len(found) == 2
    assert found[0].face.box.area >= found[1].face.box.area
    assert found[0].face.box.overlap(found[1].face.box) == 0
    assert all(one.face.score > 0.3 and one.face.quality > 0.5 for one in found)
    assert np.linalg.norm(found[0].face.encoding - found[1].face.encoding) > 0.5
    for one in found:
        assert Image.open(io.BytesIO(one.jpeg)).format == "JPEG"


def test_a_face_of_a_still_is_as_near_as_those_of_a_video(encoder: Encoder, centerface: CenterFace) -> None:
    """Who is in a frame of a clip is the nearest of the people found in the clip, and the other one far."""
    people = analyse_chunk(clips.sample("wednesday"), Chunk(0, None, None), SETTINGS, encoder, centerface=centerface)
    means = [np.mean([face.encoding for face in track.faces], axis=0) for track in people.tracks]
    boxes = [track.faces[0].box for track in people.tracks]
    assert len(means) == 2
    for one in looked_at(clips.frames("wednesday")[30], encoder, centerface):
        here = max(range(2), key=lambda i: boxes[i].shared(one.face.box))
        distances = [float(np.linalg.norm(mean - one.face.encoding)) for mean in means]
        assert distances[here] < 0.3
        assert distances[1 - here] > 0.5


def test_the_gallerys_detector_is_used(encoder: Encoder) -> None:
    """One that asks for another than `auto` needs no CenterFace."""
    assert len(looked_at(clips.frames("wednesday")[10], encoder, None, detector="hog")) == 2
    with pytest.raises(ModelUnavailableError):
        looked_at(clips.frames("wednesday")[10], encoder, None)


@pytest.mark.slow
def test_fifty_faces_are_found(encoder: Encoder, centerface: CenterFace) -> None:
    """A group has everybody in it."""
    frame = clips.frames("wednesday")[10]
    group = np.tile(frame, (5, 5, 1))
    assert len(looked_at(group, encoder, centerface)) == 50


@pytest.mark.slow
def test_boxes_are_in_the_files_own_pixels(encoder: Encoder, centerface: CenterFace) -> None:
    """A picture that was scaled down before it was looked at has its faces where they are in the file."""
    frame = clips.frames("wednesday")[10]
    large = np.asarray(Image.fromarray(frame).resize((6400, 4800)))
    small = [one.face.box for one in looked_at(frame, encoder, centerface)]
    found = looked_at(large, encoder, centerface)
    assert len(found) == 2
    for one in found:
        box = Box(
            *(side // 10 for side in (one.face.box.left, one.face.box.top, one.face.box.width, one.face.box.height))
        )
        assert max(box.overlap(known) for known in small) > 0.6
        assert Image.open(io.BytesIO(one.jpeg)).width <= 512


def test_a_picture_without_faces_has_none(encoder: Encoder, centerface: CenterFace) -> None:
    """Noise, one colour, a single pixel."""
    chance = np.random.default_rng(1)
    for picture in (
        chance.integers(0, 255, (480, 640, 3)).astype(np.uint8),
        np.full((480, 640, 3), 90, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((1, 5000, 3), np.uint8),
    ):
        assert looked_at(picture, encoder, centerface) == []


@pytest.mark.slow
def test_of_very_many_faces_the_largest_are_taken(encoder: Encoder, centerface: CenterFace) -> None:
    """What one picture costs is bounded."""
    found = looked_at(np.tile(clips.frames("wednesday")[10], (8, 8, 1)), encoder, centerface)
    assert len(found) == MOST_FACES
