"""Files with a part that cannot be read: what is around it is read, where it was is told, and nobody is held across."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from castlist.contract.values import AnalysisSettings
from castlist_vision.chunk_pipeline import analyse_chunk
from castlist_vision.reading.chunk_plan import Chunk, chunks_between
from castlist_vision.reading.decode import ChunkDecoder
from castlist_vision.reading.probe import probe

MakeVideo = Callable[..., Path]


class NoEncoder:
    """There is nobody in these videos."""

    name = "none"

    def encode(self, chips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.zeros((len(chips), 128), np.float32)


DAMAGED: dict[str, dict[str, Any]] = {
    "mkv": {"container": "matroska"},
    "webm": {"container": "webm", "codec": "libvpx"},
    "flv": {"container": "flv"},
    "wmv": {"container": "asf", "codec": "wmv2"},
    "mpg": {"container": "mpeg", "codec": "mpeg2video"},
    "ts": {"container": "mpegts"},
    "mp4": {"container_options": {"movflags": "faststart"}},
}


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_in_the_middle_is_told_with_its_times(
    kind: str, lost: bool, make_video: MakeVideo, number_of: Callable[[NDArray[np.uint8]], int]
) -> None:
    """A fifth of the bytes is overwritten, or missing: frames before and behind, and each step across is parted."""
    path = make_video(**DAMAGED[kind], frames=250)
    content = bytearray(path.read_bytes())
    begin, end = len(content) * 4 // 10, len(content) * 6 // 10
    content[begin:end] = b"" if lost else bytes(end - begin)
    path.write_bytes(content)
    found = probe(path)
    chunks = chunks_between(found.keyframes[3::4], found.stretches, found.holes)
    told = [(one.start or 0.0, one.end) for one in found.warnings if one.code in ("gap", "damaged", "truncated")]
    frames = []
    for chunk in chunks:
        decoder = ChunkDecoder(path, chunk)
        frames += [(frame.time, number_of(frame.gray), frame.parted) for frame in decoder]
        told += [(hole.start, hole.end) for hole in decoder.damage]
    assert {number for _, number, _ in frames} >= set(range(50))
    assert told
    if kind == "mp4" and lost:
        return  # its index leads to other places from there on
    assert {number for _, number, _ in frames} >= set(range(210, 250))
    starts = {chunk.start for chunk in chunks}
    for (before, _, _), (after, _, parted) in pairwise(frames):
        assert before <= after
        if after - before > 0.3:
            assert any(start <= before + 0.2 and (end or after) >= after - 0.2 for start, end in told)
            assert parted or any(before < (start or 0.0) <= after for start in starts)


def test_pictures_that_do_not_come_out_of_their_packets_are_told(make_video: MakeVideo) -> None:
    """Here every third packet holds noise, with the first bytes of a picture: nothing else says so of some decoders."""
    path = make_video(codec="mjpeg", container="avi", pixels="yuvj420p", frames=90)
    assert analyse_chunk(path, Chunk(0, None, None), AnalysisSettings(), NoEncoder()).warnings == ()
    content = bytearray(path.read_bytes())
    pictures = [at for at in range(len(content) - 3) if content[at : at + 3] == b"\xff\xd8\xff"]
    for at in pictures[::3]:
        content[at + 2 : at + 600] = bytes(598)
    path.write_bytes(content)
    codes = {one.code for one in analyse_chunk(path, Chunk(0, None, None), AnalysisSettings(), NoEncoder()).warnings}
    assert "pictures_lost" in codes


@pytest.mark.parametrize("name", ["h264", "open-gop", "hevc", "mpeg2", "mpeg4", "vp8", "vp9"])
def test_pictures_that_are_skipped_or_hidden_are_not_lost(name: str, make_video: MakeVideo) -> None:
    """Whatever a decoder leaves out on purpose, in whole videos and in each chunk of them."""
    kinds: dict[str, dict[str, Any]] = {
        "h264": {"stream_options": {"bf": "3"}},
        "open-gop": {"container": "mpegts", "stream_options": {"x264-params": "open-gop=1:bframes=3:keyint=12"}},
        "hevc": {"codec": "libx265", "stream_options": {"x265-params": "log-level=none:keyint=12"}},
        "mpeg2": {"codec": "mpeg2video", "container": "mpeg", "stream_options": {"bf": "2"}},
        "mpeg4": {"codec": "mpeg4", "container": "avi", "stream_options": {"bf": "2"}},
        "vp8": {"codec": "libvpx", "container": "webm", "stream_options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
        "vp9": {"codec": "libvpx-vp9", "container": "webm", "stream_options": {"auto-alt-ref": "1"}},
    }
    path = make_video(**kinds[name], frames=120)
    found = probe(path)
    for finest in (None, 0.1):
        for chunk in chunks_between(found.keyframes[1:]):
            decoder = ChunkDecoder(path, chunk, finest)
            assert sum(1 for _ in decoder) > 0
            assert (decoder.lost, decoder.damage) == (0, [])


def test_nobody_is_held_across_a_gap(make_video: MakeVideo) -> None:
    """Between two frames of a slide show the earlier one is still shown; where pictures are missing it is not."""
    times = [i / 25 + (8.0 if i >= 36 else 0.0) for i in range(60)]
    for container, held in (("mp4", True), ("mpegts", False)):
        path = make_video(container=container, times=times, stream_options={"x264-params": "bframes=0"})
        found = probe(path)
        parted = [
            frame.time
            for chunk in chunks_between([], found.stretches, found.holes)
            for frame in ChunkDecoder(path, chunk)
            if frame.parted
        ]
        assert parted == ([] if held else [pytest.approx(36 / 25 + 8.0)])
