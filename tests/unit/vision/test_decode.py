"""Frames of every format: upright, with true times, each in exactly one chunk."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist_vision.reading.chunk_plan import Chunk
from castlist_vision.reading.decode import ChunkDecoder
from castlist_vision.reading.probe import probe

MakeVideo = Callable[..., Path]
WHOLE = Chunk(0, None, None)
X265 = {"x265-params": "log-level=none:keyint=12"}
OPEN = {"x264-params": "open-gop=1:bframes=3:keyint=12:scenecut=0"}
CLOSED = {"bf": "2", "flags": "+cgop", "sc_threshold": "1000000000"}
X265_CLOSED = {"x265-params": "log-level=none:keyint=12:open-gop=0"}
X265_RADL = {"x265-params": "log-level=none:keyint=12:min-keyint=12:open-gop=0:radl=2:scenecut=0"}
UNEVEN = [i * 0.04 + (0.3 if i > 20 else 0) + (i % 3) * 0.01 for i in range(60)]

FORMATS: dict[str, dict[str, Any]] = {
    "h264-mp4": {},
    "h264-mov": {"container": "mov"},
    "h264-mkv": {"container": "matroska"},
    "h264-ts": {"container": "mpegts"},
    "h264-flv": {"container": "flv"},
    "h264-avi": {"container": "avi"},
    "h264-asf": {"container": "asf", "stream_options": {"bf": "2"}},
    "h264-fragmented": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "h264-open-gop": {"stream_options": OPEN},
    "h264-open-gop-ts": {"stream_options": OPEN, "container": "mpegts"},
    "h264-10-bit": {"pixels": "yuv420p10le"},
    "h264-444": {"pixels": "yuv444p"},
    "h264-interlaced": {"interlaced": True},
    "h264-uneven": {"times": UNEVEN},
    "h264-uneven-mkv": {"times": UNEVEN, "container": "matroska"},
    "h264-late": {"times": [1.5 + i / 25 for i in range(60)]},
    "h264-late-ts": {"times": [1.5 + i / 25 for i in range(60)], "container": "mpegts"},
    "h264-turned-90": {"turn": 90},
    "h264-turned-180": {"turn": 180},
    "h264-turned-270": {"turn": 270},
    **{f"h264-mirrored-{turn}": {"turn": turn, "mirror": True} for turn in (0, 90, 180, 270)},
    "h264-wide-pixels": {"aspect": Fraction(4, 3)},
    "h264-wide-pixels-turned": {"aspect": Fraction(4, 3), "turn": 90},
    "hevc-mp4": {"codec": "libx265", "stream_options": X265},
    "hevc-ts": {"codec": "libx265", "stream_options": X265, "container": "mpegts"},
    "hevc-10-bit": {"codec": "libx265", "stream_options": X265, "pixels": "yuv420p10le"},
    "vp8-webm": {"codec": "libvpx", "container": "webm"},
    "vp9-webm": {"codec": "libvpx-vp9", "container": "webm"},
    "av1-mp4": {"codec": "libsvtav1", "stream_options": {"preset": "12"}},
    "av1-webm": {"codec": "libsvtav1", "stream_options": {"preset": "12"}, "container": "webm"},
    "mpeg2-ts": {"codec": "mpeg2video", "container": "mpegts", "stream_options": {"bf": "2"}},
    "mpeg2-ps": {"codec": "mpeg2video", "container": "mpeg"},
    "mpeg2-interlaced": {"codec": "mpeg2video", "container": "mpegts", "interlaced": True},
    "mpeg4-avi": {"codec": "mpeg4", "container": "avi", "stream_options": {"bf": "2"}},
    "mpeg4-mp4": {"codec": "mpeg4"},
    "mjpeg-avi": {"codec": "mjpeg", "container": "avi", "pixels": "yuvj420p"},
    "mjpeg-mov": {"codec": "mjpeg", "container": "mov", "pixels": "yuvj422p"},
    "flv1-flv": {"codec": "flv", "container": "flv"},
    "gif": {"codec": "gif", "container": "gif", "pixels": "rgb8"},
    "bare-h264": {"container": "h264"},
    "bare-h264-open-gop": {"stream_options": OPEN, "container": "h264"},
    "bare-h264-without-reordering": {"stream_options": {"bf": "0"}, "container": "h264"},
    "bare-h264-interlaced": {"interlaced": True, "container": "h264"},
    "bare-hevc": {"codec": "libx265", "stream_options": X265, "container": "hevc"},
    "bare-hevc-closed": {"codec": "libx265", "stream_options": X265_CLOSED, "container": "hevc"},
    "bare-hevc-radl": {"codec": "libx265", "stream_options": X265_RADL, "container": "hevc"},
    "bare-mpeg1": {"codec": "mpeg1video", "container": "mpeg1video", "stream_options": {"bf": "2"}},
    "bare-mpeg2": {"codec": "mpeg2video", "container": "mpeg2video", "stream_options": {"bf": "2"}},
    "bare-mpeg2-closed": {"codec": "mpeg2video", "container": "mpeg2video", "stream_options": CLOSED},
    "bare-mpeg2-interlaced": {"codec": "mpeg2video", "container": "mpeg2video", "interlaced": True},
    "bare-mpeg4": {"codec": "mpeg4", "container": "m4v", "stream_options": {"bf": "2"}},
    "bare-av1": {"codec": "libsvtav1", "container": "obu", "stream_options": {"preset": "12"}},
    "bare-mjpeg": {"codec": "mjpeg", "container": "mjpeg", "pixels": "yuvj420p"},
}


Seen = Callable[..., list[tuple[float, int]]]


@pytest.fixture
def seen(number_of: Callable[[NDArray[np.uint8]], int]) -> Seen:
    """(time, number shown) of each frame that a chunk yields."""

    def see(path: Path, chunk: Chunk = WHOLE, finest: float | None = None) -> list[tuple[float, int]]:
        return [(frame.time, number_of(frame.gray)) for frame in ChunkDecoder(path, chunk, finest)]

    return see


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_upright_frames_with_true_times_each_in_one_chunk(
    name: str, make_video: MakeVideo, seen: Seen
) -> None:
    """Cut at keyframes, cut between them, or with pictures skipped: the same frames, at the same times."""
    how = FORMATS[name]
    path = make_video(**how)
    whole = seen(path)
    assert [number for _, number in whole] == list(range(60))
    expected = how.get("times") or [i / 25 for i in range(60)]
    for (time, _), moment in zip(whole, expected, strict=True):
        assert time - whole[0][0] == pytest.approx(moment - expected[0], abs=1e-3)

    inner = sorted(time for time in probe(path).keyframes if time > 0)
    for cuts in (inner[::2], inner, [0.33, 0.97, 1.41, 2.0]):
        edges = [None, *cuts, None]
        parts = [seen(path, Chunk(i, edges[i], edges[i + 1])) for i in range(len(edges) - 1)]
        assert [frame for part in parts for frame in part] == whole

    some = seen(path, finest=0.1)
    assert set(some) <= set(whole)
    gaps = [b - a for (a, _), (b, _) in pairwise(some)]
    natural = [b - a for (a, _), (b, _) in pairwise(whole)]
    assert sum(gap > max(0.1, *natural) + 1e-6 for gap in gaps) <= 1, "skipping stops at the first gap it makes"


@pytest.mark.parametrize(
    "name",
    [
        "h264-mp4",
        "h264-10-bit",
        "h264-turned-90",
        "h264-turned-270",
        "h264-mirrored-0",
        "h264-mirrored-90",
        "h264-wide-pixels",
        "mpeg2-interlaced",
        "gif",
    ],
)
def test_colours_come_from_the_same_place_as_the_luma(name: str, make_video: MakeVideo) -> None:
    """Red where the picture is red, white where it is white, black outside; odd corners included."""
    for frame in ChunkDecoder(make_video(**FORMATS[name]), WHOLE):
        red = frame.cut(Box(frame.width // 2 + 1, frame.height * 3 // 4 + 1, 21, 11)).colour
        assert red.shape == (11, 21, 3)
        assert np.abs(red.reshape(-1, 3).mean(0) - (200, 20, 20)).max() < 12
        corner = frame.cut(Box(-6, frame.height * 3 // 4, 13, 9)).colour
        assert corner[:, :6].max() == 0
        assert corner[:, 6:].mean() > 190
        break


def test_a_person_moving_between_fields_is_not_combed(make_video: MakeVideo) -> None:
    """Of an interlaced frame one field counts; it is neither black nor squeezed."""
    path = make_video(codec="mpeg2video", container="mpegts", interlaced=True)
    frames = list(ChunkDecoder(path, WHOLE))
    assert all(frame.gray.shape == (128, 192) and frame.gray.mean() > 40 for frame in frames)
    assert probe(path).interlaced


def test_a_truncated_video_gives_its_readable_part(make_video: MakeVideo, number_of: Callable[..., int]) -> None:
    """And says that something is missing."""
    path = make_video(frames=150, container_options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    decoder = ChunkDecoder(path, WHOLE)
    numbers = [number_of(frame.gray) for frame in decoder]
    assert numbers[:40] == list(range(40))
    assert decoder.damage


def test_garbled_packets_do_not_end_the_chunk(make_video: MakeVideo, number_of: Callable[..., int]) -> None:
    """Noise in the middle: what lies before and behind it is still seen."""
    path = make_video(frames=150, container="matroska")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1500] = np.random.default_rng(1).bytes(1500)
    path.write_bytes(content)
    decoder = ChunkDecoder(path, WHOLE)
    numbers = [number_of(frame.gray) for frame in decoder]
    assert set(range(20)) <= set(numbers)
    assert set(range(140, 150)) <= set(numbers)
    assert decoder.damage


def test_thumbnails_tell_pictures_apart(make_video: MakeVideo) -> None:
    """The same small size for any frame."""
    frames = list(ChunkDecoder(make_video(frames=3), WHOLE))
    assert {frame.thumbnail.shape for frame in frames} == {(36, 48)}
    assert np.abs(frames[0].thumbnail.astype(int) - frames[1].thumbnail).mean() > 0.5
