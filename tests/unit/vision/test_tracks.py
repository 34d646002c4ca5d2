"""Files with several tracks of pictures: the video is read, and what is not read is named."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from castlist_vision.reading.chunk_plan import chunks_between
from castlist_vision.reading.decode import ChunkDecoder
from castlist_vision.reading.probe import Probe, probe

NumberOf = Callable[[NDArray[np.uint8]], int]


Track = tuple[str, tuple[int, int], Sequence[float], bool]
"""Codec, width and height, times of its pictures, whether a player starts with it."""
WriteTracks = Callable[..., Path]


@pytest.fixture
def write_tracks(tmp_path: Path, picture_of: Callable[..., NDArray[np.uint8]]) -> WriteTracks:
    """`write_tracks(container, track, …)`: a file of numbered pictures."""

    def write(container: str, *tracks: Track) -> Path:
        path = tmp_path / "tracks"
        with av.open(str(path), "w", format=container) as out:
            streams: list[Any] = []
            for codec, size, _, default in tracks:
                stream: Any = out.add_stream(codec, rate=25)
                stream.width, stream.height = size
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                stream.disposition = av.stream.Disposition.default.value if default else 0
                streams.append(stream)
            pictures = sorted(
                (time, index, number)
                for index, (_, _, times, _) in enumerate(tracks)
                for number, time in enumerate(times)
            )
            for time, index, number in pictures:
                frame = av.VideoFrame.from_ndarray(picture_of(number, *tracks[index][1]), format="rgb24")
                frame = frame.reformat(format=streams[index].pix_fmt)
                frame.pts, frame.time_base = round(time * 25), Fraction(1, 25)
                out.mux(streams[index].encode(frame))
            for stream in streams:
                out.mux(stream.encode(None))
        return path

    return write


VIDEO = ("mpeg4", (192, 128), [i / 25 for i in range(50)])


def shown(path: Path, found: Probe, number_of: NumberOf) -> list[tuple[float, int, int]]:
    """(time, width, number) of each frame."""
    return [
        (frame.time, frame.width, number_of(frame.gray))
        for chunk in chunks_between(found.keyframes[1:], found.stretches)
        for frame in ChunkDecoder(path, chunk)
    ]


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize("first", [False, True])
def test_a_poster_that_a_player_starts_with_is_not_the_video(
    container: str, first: bool, number_of: NumberOf, write_tracks: WriteTracks
) -> None:
    """However large it is, and wherever in the file; it is named."""
    poster, video = ("mjpeg", (640, 480), [0.0], True), (*VIDEO, False)
    path = write_tracks(container, *((poster, video) if first else (video, poster)))
    found = probe(path)
    assert (found.codec, found.width, found.height) == ("mpeg4", 192, 128)
    frames = shown(path, found, number_of)
    assert [(width, number) for _, width, number in frames] == [(192, number) for number in range(50)]
    (one,) = found.warnings
    assert one.code == "track_not_read"
    assert "mjpeg, 640x480" in one.message


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_of_two_angles_one_is_read_and_the_other_named(
    container: str, number_of: NumberOf, write_tracks: WriteTracks
) -> None:
    """The one that a player starts with."""
    small, large = (*VIDEO, False), ("mpeg4", (384, 256), VIDEO[2], True)
    path = write_tracks(container, small, large)
    found = probe(path)
    assert (found.width, found.height) == (384, 256)
    assert [width for _, width, _ in shown(path, found, number_of)] == [384] * 50
    assert [one.code for one in found.warnings] == ["track_not_read"]
    assert "192x128" in found.warnings[0].message


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_a_track_that_goes_on_where_another_ends_is_read_too(
    container: str, number_of: NumberOf, write_tracks: WriteTracks
) -> None:
    """A video may move to another track of its file."""
    later = [time + 2.0 for time in VIDEO[2]]
    path = write_tracks(container, (*VIDEO, True), ("mpeg4", (384, 256), later, False))
    found = probe(path)
    frames = shown(path, found, number_of)
    assert [(width, number) for _, width, number in frames] == [
        *((192, number) for number in range(50)),
        *((384, number) for number in range(50)),
    ]
    assert [time for time, _, _ in frames] == pytest.approx([i / 25 for i in range(100)], abs=1e-3)
    assert found.warnings == ()
