"""Faces that do not look into the camera: found, and no ground for a person."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from castlist.contract.values import NEW_GALLERY
from castlist_identity.domain import Track
from castlist_identity.videos.video_people import people_of_video
from castlist_vision.chunk_pipeline import ChunkResult, analyse_chunk
from castlist_vision.faces.centerface import CenterFace
from castlist_vision.reading.chunk_plan import Chunk
from testkit import clips
from unit.vision.test_face_tracking import CountingEncoder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> CenterFace:
    return CenterFace(tmp_path_factory.mktemp("cache"))


def lying(picture: clips.Image, degrees: float) -> clips.Image:
    """Collins, who is at the right of the picture, with her head turned in the picture's plane."""
    picture = np.ascontiguousarray(picture[:, picture.shape[1] // 2 :])
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(picture, turn, (width, height)), np.uint8)


def analysed(path: Path, degrees: float, network: CenterFace) -> ChunkResult:
    images = [lying(picture, degrees) for picture in clips.frames("wednesday")[:50]]
    clips.write(path, images)
    return analyse_chunk(path, Chunk(0, None, None), NEW_GALLERY.analysis, CountingEncoder(), centerface=network)


@pytest.mark.parametrize(("degrees", "people"), [(0, 1), (55, 0)])
def test_who_never_looks_into_the_camera_is_followed_and_nobody(
    degrees: float, people: int, network: CenterFace, tmp_path: Path
) -> None:
    """And is told with the reason; such faces may only join a person."""
    result = analysed(tmp_path / "clip.mp4", degrees, network)
    (track,) = result.tracks
    assert len(track.sightings) >= 9
    found = people_of_video([Track(0, track.index, track.sightings, track.faces)])
    assert len(found.people) == people
    assert dict(found.skipped) == ({} if people else {"low_score": len(track.sightings)})
