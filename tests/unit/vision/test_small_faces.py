"""Faces that are too small to be looked for are counted."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from castlist.contract.values import AnalysisSettings
from castlist_vision.chunk_pipeline import ChunkResult, analyse_chunk
from castlist_vision.reading.chunk_plan import Chunk
from testkit import clips
from unit.vision.test_face_tracking import CountingEncoder


def in_the_distance(share: float) -> list[clips.Image]:
    """Two people in the middle of a plain wall, that part of their size."""
    pictures = []
    for picture in clips.two_people():
        small = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        height, width = small.shape[:2]
        wall = np.full_like(picture, 128)
        wall[100 : 100 + height, 100 : 100 + width] = small
        pictures.append(wall)
    return pictures


def analyse(path: Path, smallest: int = 57) -> ChunkResult:
    """What is in the whole file."""
    return analyse_chunk(path, Chunk(0, None, None), AnalysisSettings(smallest_face=smallest), CountingEncoder())


@pytest.fixture(scope="module")
def distant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.write(tmp_path_factory.mktemp("clips") / "distant.mp4", in_the_distance(0.16))


def test_where_nobody_is_found_small_faces_are_counted(distant: Path) -> None:
    """And with the limit lowered, they are found."""
    found = analyse(distant)
    assert found.tracks == ()
    assert found.faces_skipped.get("too_small", 0) > 0
    assert analyse(distant, smallest=20).tracks


def test_where_there_is_no_face_none_is_counted(tmp_path: Path) -> None:
    """Nothing is said that is not so."""
    found = analyse(clips.write(tmp_path / "nobody.mp4", clips.faceless()))
    assert found.faces_skipped == {}
