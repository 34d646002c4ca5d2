"""Container × codec × oddity: our pictures and their times are those that the `ffmpeg` command shows.

A quick slice runs always, the whole matrix with `python3 deploy test --faults`; it prints its table.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from castlist_vision.reading.chunk_plan import Chunk, chunks_between
from castlist_vision.reading.decode import ChunkDecoder
from castlist_vision.reading.probe import Probe, probe
from testkit.ffmpeg_command import HEIGHT, WIDTH, Shown
from testkit.matrix_table import Table
from testkit.media_cells import Cell, Made, cells, make
from testkit.numbered_pictures import number_of

# Every difference that stays, and why.
DIFFERENCES = {
    "mxf/h264/plain": "MXF as the command writes it has no order of H.264 pictures: it shows two at one time",
    "mxf/mpeg2/cut": "its index is gone with its end; the command then begins one picture later",
    "gxf/sd-mpeg2/one": "the command shows an only picture at zero, GXF says that it is half a picture later",
    "bare-vc2/vc2/joint": "Dirac numbers its pictures: the decoder takes those of the second part for repeats",
    "bare-(hevc/hevc|mpeg4/mpeg4)/damage": "a bare stream is counted: pictures lost to damage move those behind them",
    "bare-vvc/vvc/cut": "the command's newer decoder shows pictures that lack what they refer to",
    "mp4/vvc/vfr": "the command's encoder gives several pictures one time",
    "asf/(h264|mpeg4)/(plain|cut|damage)": "the command begins with the first packet, we when its picture comes out",
}
# What is to be mended.
WAITING = {
    "avi/mpeg4-packed/.*": "we begin with the first packet, and a picture that is packed with another comes later",
    "(mkv/vp8|webm/vp9)/damage": "a chunk that begins within the damage begins with the next picture that is whole",
    "asf/(h264|mpeg4)/(hole|long-gap|vfr|late)": "where ASF's pictures were reordered, gaps between them are not seen",
    "ogv/.*/joint": "the second part begins a picture late",
    "ts/vvc/(vfr|tracks|joint|pid)": "pictures that come after the first keyframe and are shown before it are lost",
}

QUICK = {
    "mp4/h264/plain",
    "mp4/h264/rotated",
    "mkv/vp9/vfr",
    "webm/vp8/late",
    "avi/mpeg4/plain",
    "flv/flv1/cut",
    "ts/h264/wrap",
    "ts/mpeg2-interlaced/plain",
    "mpg/mpeg1/hole",
    "ogv/theora/plain",
    "asf/wmv2/one",
    "mxf/mpeg2/plain",
    "bare-h264/h264/plain",
    "bare-hevc/hevc/joint",
    "bare-vvc/vvc/plain",
    "ts/h264/joint",
    "webm/vp8/joint",
    "mp4/h264/mirrored",
    "bare-mpeg2/mpeg2/cut",
}
# AVI has no presentation times. The command shows all of it later by as many pictures as the decoder holds back;
# players and we begin where the container does.
FROM_THE_FIRST_PICTURE = {"avi"}


# So many pictures may hang on the packet in which a file is cut off.
_TORN = 3
_LONG = [pytest.mark.faults, pytest.mark.slow]


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, id=cell.id, marks=[] if cell.id in QUICK else _LONG) for cell in cells()]
)
def test_what_is_read_is_what_the_command_shows(cell: Cell, tmp_path: Path, table: Table) -> None:
    """Each picture once, at its time; and the same when the file is read in chunks."""
    made = make(cell, tmp_path)
    if made is None or not made.expected:
        table.cells["not to be made, or not to be read by the command"] += 1
        pytest.skip("the command cannot make it, or not read it")
    difference = _difference(made, cell.container in FROM_THE_FIRST_PICTURE)
    reason = _reason(cell, DIFFERENCES) or _reason(cell, WAITING)
    table.cells["different" if difference else "equal"] += 1
    if difference:
        table.different.append((cell.id, difference, reason or "not known"))
    if reason is None:
        assert difference is None
    elif _reason(cell, DIFFERENCES):
        assert difference is not None, "it is equal now: take it off the list"


def test_the_quick_slice_is_of_the_matrix() -> None:
    """A cell that is renamed does not leave the slice unseen."""
    assert {cell.id for cell in cells()} >= QUICK
    for pattern in (*DIFFERENCES, *WAITING):
        assert any(re.fullmatch(pattern, cell.id) for cell in cells()), pattern


def _reason(cell: Cell, among: dict[str, str]) -> str | None:
    return next((reason for pattern, reason in among.items() if re.fullmatch(pattern, cell.id)), None)


def _difference(made: Made, from_the_first: bool) -> str | None:
    """The first thing that differs, in words."""
    found = probe(made.path)
    whole = _pictures(made.path, chunks_between([], found.stretches, found.holes))
    earlier = made.expected[0].time - whole[0].time if from_the_first and whole else 0.0
    if made.damaged:
        # What begins behind the damage is better for it.
        return _missing(whole, made.expected, earlier) or _difference_of_chunks(made.path, found, whole, 0)
    if len(whole) != len(made.expected):
        return f"{len(whole)} pictures instead of {len(made.expected)}"
    compared = len(whole) - _TORN if made.torn else len(whole)
    for place, (ours, theirs) in enumerate(zip(whole[:compared], made.expected, strict=False)):
        if abs(ours.time + earlier - theirs.time) > 1e-3:
            return f"picture {place} at {ours.time:.3f} instead of {theirs.time - earlier:.3f} s"
        if number_of(ours.picture) != number_of(theirs.picture) or _likeness(ours, theirs) < 0.98:
            return f"picture {place} is another"
    return _difference_of_chunks(made.path, found, whole, compared)


def _missing(whole: list[Shown], expected: list[Shown], earlier: float) -> str | None:
    ours = {(round(one.time + earlier, 3), number_of(one.picture)) for one in whole}
    for one in expected:
        if (round(one.time, 3), number_of(one.picture)) not in ours:
            return f"the picture at {one.time:.3f} s is another, or missing"
    falling = any(later.time <= sooner.time for sooner, later in pairwise(whole))
    return "times fall" if falling else None


def _difference_of_chunks(path: Path, found: Probe, whole: list[Shown], compared: int) -> str | None:
    cuts = sorted({*[time for time in found.keyframes if time > 0][:3], 0.6 * found.duration})
    parts = _pictures(path, chunks_between(cuts, found.stretches, found.holes))
    if [one.time for one in parts] != [one.time for one in whole]:
        return f"in chunks {len(parts)} pictures instead of {len(whole)}, or at other times"
    same = all(np.array_equal(part.picture, one.picture) for part, one in zip(parts, whole[:compared], strict=False))
    return None if same else "in chunks other pictures"


def _pictures(path: Path, chunks: Sequence[Chunk]) -> list[Shown]:
    small = (WIDTH, HEIGHT)
    return [
        Shown(frame.time, cv2.resize(frame.gray, small, interpolation=cv2.INTER_AREA).astype(np.uint8))
        for chunk in chunks
        for frame in ChunkDecoder(path, chunk)
    ]


def _likeness(ours: Shown, theirs: Shown) -> float:
    """1 for the same picture, whatever the range of its luma."""
    return float(np.corrcoef(ours.picture.ravel().astype(float), theirs.picture.ravel().astype(float))[0, 1])
