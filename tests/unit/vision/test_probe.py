"""What a file is found to be before anything is planned for it."""

import os
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from castlist_vision.reading.chunk_plan import plan_chunks
from castlist_vision.reading.decode import ChunkDecoder
from castlist_vision.reading.media_errors import LimitsExceededError, MediaError
from castlist_vision.reading.probe import Limits, probe

MakeVideo = Callable[..., Path]


def song(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=44100)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.rate = 44100
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def picture(path: Path, kind: str) -> None:
    path.write_bytes(cv2.imencode(kind, np.full((90, 120, 3), 80, np.uint8))[1].tobytes())


def playlist(path: Path, kind: str, other: Path) -> None:
    text = {
        "m3u8": f"#EXTM3U\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{other}'\n",
    }
    path.write_text(text[kind])


BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "empty": ("not_a_video", lambda path: path.write_bytes(b"")),
    "text": ("not_a_video", lambda path: path.write_text("hello, world\n" * 50)),
    "random": ("not_a_video", lambda path: path.write_bytes(os.urandom(100_000))),
    "png": ("not_a_video", lambda path: picture(path, ".png")),
    "jpeg": ("not_a_video", lambda path: picture(path, ".jpg")),
    "song": ("no_video_stream", song),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_video_is_refused_with_its_reason(kind: str, tmp_path: Path) -> None:
    """The code is what a task shows."""
    code, write = BAD[kind]
    write(tmp_path / "file.mp4")
    with pytest.raises(MediaError) as caught:
        probe(tmp_path / "file.mp4")
    assert caught.value.code == code


@pytest.mark.parametrize("kind", ["m3u8", "concat"])
def test_a_playlist_does_not_open_other_files(kind: str, make_video: MakeVideo, tmp_path: Path) -> None:
    """It would show its sender what lies on our disks."""
    playlist(tmp_path / "list", kind, make_video())
    with pytest.raises(MediaError, match="not a video"):
        probe(tmp_path / "list")


def test_a_video_of_noise_is_undecodable(make_video: MakeVideo) -> None:
    """Its index is whole, its pictures are not."""
    path = make_video(container_options={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = np.random.default_rng(0).bytes(len(content) - start)
    path.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.code == "undecodable"


@pytest.mark.parametrize("limits", [Limits(pixels=10_000), Limits(seconds=2.0)])
def test_what_is_too_large_or_too_long_is_refused(limits: Limits, make_video: MakeVideo) -> None:
    """Before a single chunk of it is planned."""
    with pytest.raises(LimitsExceededError):
        probe(make_video(), limits)


@pytest.mark.parametrize(
    ("container", "options", "keep"),
    [
        ("mp4", {"movflags": "faststart"}, 0.5),
        ("mp4", {"movflags": "faststart"}, 0.7),
        ("matroska", {}, 0.5),
        ("avi", {}, 0.5),
        ("flv", {}, 0.5),
    ],
)
def test_a_file_cut_short_is_truncated(
    container: str, options: dict[str, str], keep: float, make_video: MakeVideo
) -> None:
    """Its readable part is what its duration says."""
    path = make_video(container=container, frames=150, container_options=options)
    assert not probe(path).truncated
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    found = probe(path)
    assert found.truncated
    assert 1.0 < found.duration < 5.0


def test_a_gif_is_a_video(make_video: MakeVideo) -> None:
    """With one keyframe, as each of its pictures builds on the one before."""
    found = probe(make_video(codec="gif", container="gif", pixels="rgb8"))
    assert found.keyframes == (0.0,)
    assert found.duration == pytest.approx(2.4)


def test_size_is_that_of_the_upright_picture_in_square_pixels(make_video: MakeVideo) -> None:
    """128 pixels wide on disk, each shown 4/3 as wide, then turned."""
    found = probe(make_video(turn=90, aspect=Fraction(4, 3)))
    assert (found.rotation, found.width, found.height) == (90, 192, 171)
    assert found.sample_aspect == pytest.approx(4 / 3)


def test_times_count_from_the_container_start(make_video: MakeVideo) -> None:
    """A transport stream that begins at 1.5 s."""
    found = probe(make_video(container="mpegts", times=[1.5 + i / 25 for i in range(60)]))
    assert found.start_time == pytest.approx(1.5)
    assert found.keyframes[0] == pytest.approx(0.0)
    assert found.duration == pytest.approx(2.4, abs=0.05)
    assert found.frame_rate == pytest.approx(25)


def test_an_index_of_more_pictures_than_a_day_has_is_not_made(make_video: MakeVideo) -> None:
    """Twenty million samples are claimed in four bytes; the demuxer would make room for each."""
    path = make_video()
    content = bytearray(path.read_bytes())
    at = content.index(b"stsz")
    content[at + 8 : at + 16] = (1).to_bytes(4, "big") + (20_000_000).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(LimitsExceededError, match="20000000 pictures"):
        probe(path)
    fragmented = make_video(container_options={"movflags": "frag_keyframe+empty_moov"})
    content = bytearray(fragmented.read_bytes())
    at = content.index(b"trun")
    content[at + 8 : at + 12] = (20_000_000).to_bytes(4, "big")
    fragmented.write_bytes(content)
    with pytest.raises(LimitsExceededError, match="pictures"):
        probe(fragmented)


def test_more_packets_than_are_read_are_too_many(make_video: MakeVideo) -> None:
    """What is read is counted, whatever was claimed."""
    with pytest.raises(LimitsExceededError, match="59 packets"):
        probe(make_video(container="mpegts"), Limits(packets=59))
    assert probe(make_video(container="mpegts"), Limits(packets=60)).duration > 2


@pytest.mark.parametrize("far", [10**6, 10**12, -(10**6)])
def test_a_start_far_from_the_pictures_makes_no_long_video(far: int, make_video: MakeVideo) -> None:
    """One timestamp of a Matroska says that it begins at another time than all the rest: a joint, not a day."""
    path = make_video(container="matroska", codec="mjpeg", pixels="yuvj420p", frames=50)
    content = path.read_bytes()
    cluster = content.index(b"\x1f\x43\xb6\x75")
    # The first cluster's time (an element E7 of one byte, 0) grows; its size is not known then.
    time = content.index(b"\xe7\x81\x00", cluster)
    longer = (far % 2**64).to_bytes(8, "big")
    path.write_bytes(content[:time] + b"\xe7\x88" + longer + content[time + 3 :])
    try:
        found = probe(path)
    except MediaError as error:
        assert error.code in ("limits_exceeded", "not_a_video", "undecodable")  # noqa: PT017
        return
    chunks = plan_chunks(found.keyframes, found.duration, found.stretches, found.holes)
    assert found.duration < 60
    assert len(chunks) < 10


def test_a_picture_that_is_larger_than_its_container_says_is_not_decoded(make_video: MakeVideo) -> None:
    """The decoder is told how much it may make room for."""
    path = make_video(codec="png", container="avi", pixels="rgb24", frames=10)
    large = cv2.imencode(".png", np.zeros((9_000, 9_000), np.uint8))[1].tobytes()
    content = path.read_bytes()
    _, begin, end, *_ = (at.start() for at in re.finditer(b"\x89PNG", content))
    room = end - begin - 8
    path.write_bytes(content[:begin] + large[:room].ljust(room, b"\0") + content[end - 8 :])
    found = probe(path)
    frames = list(ChunkDecoder(path, plan_chunks(found.keyframes, found.duration)[0]))
    assert {(frame.width, frame.height) for frame in frames} == {(192, 128)}


@pytest.mark.parametrize(
    ("codec", "container"),
    [("mpeg2video", "mpegts"), ("mpeg2video", "dvd"), ("mpeg2video", "mpeg"), ("libx264", "mpegts"), ("mpeg4", "asf")],
)
def test_a_video_of_one_picture_shows_it_at_its_beginning(codec: str, container: str, make_video: MakeVideo) -> None:
    """Containers may not say when they begin, nor when the picture is shown."""
    path = make_video(codec=codec, container=container, frames=1)
    found = probe(path)
    (chunk,) = plan_chunks(found.keyframes, found.duration, found.stretches, found.holes)
    assert [frame.time for frame in ChunkDecoder(path, chunk)] == [0.0]
