"""Files that are several joined ones: each picture once, at the time a player shows it, whatever their clocks say."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from castlist.contract.values import VideoWarning
from castlist_vision.reading.chunk_plan import Chunk, chunks_between
from castlist_vision.reading.decode import ChunkDecoder
from castlist_vision.reading.probe import Probe, probe

MakeVideo = Callable[..., Path]
NumberOf = Callable[[NDArray[np.uint8]], int]
Seen = list[tuple[float, int]]
FRAME = 1 / 25

JOINED: dict[str, dict[str, Any]] = {
    "ts": {"container": "mpegts"},
    "ts-open-gop": {"container": "mpegts", "stream_options": {"x264-params": "open-gop=1:bframes=3:keyint=12"}},
    "m2ts": {"container": "mpegts", "container_options": {"mpegts_m2ts_mode": "1"}},
    "mpeg2-ts": {"container": "mpegts", "codec": "mpeg2video", "stream_options": {"bf": "2"}},
    "vob": {"container": "vob", "codec": "mpeg2video", "stream_options": {"bf": "2"}},
    "mpg": {"container": "mpeg", "codec": "mpeg1video"},
    "flv": {"container": "flv"},
    "webm": {"container": "webm", "codec": "libvpx"},
    "mkv": {"container": "matroska"},
    "mkv-mpeg2": {"container": "matroska", "codec": "mpeg2video", "stream_options": {"bf": "2"}},
    "mkv-mpeg4": {"container": "matroska", "codec": "mpeg4", "stream_options": {"bf": "2"}},
    "mp4": {},
    "mp4-fragments": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "wmv": {"container": "asf", "codec": "wmv2"},
}


def parts_of(make_video: MakeVideo, folder: Path, how: dict[str, Any]) -> list[Path]:
    """Three files of one kind; each is shorter than the one before, and its clock starts over."""
    parts = []
    for number, frames in enumerate((60, 45, 30)):
        parts.append(folder / f"part-{number}")
        make_video(**how, frames=frames).rename(parts[-1])
    return parts


def joined(parts: list[Path], path: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def seen(path: Path, number_of: NumberOf, *chunks: Chunk, finest: float | None = None) -> Seen:
    """(time, number shown) of each frame of these chunks, one after the other."""
    return [(frame.time, number_of(frame.gray)) for chunk in chunks for frame in ChunkDecoder(path, chunk, finest)]


def told(found: Probe, code: str) -> list[VideoWarning]:
    return [one for one in found.warnings if one.code == code]


def one_by_one(parts: list[Path], number_of: NumberOf) -> Seen:
    """What the parts show, each beginning one frame after the one before."""
    shown: Seen = []
    for part in parts:
        own = seen(part, number_of, Chunk(0, None, None))
        begin = shown[-1][0] + FRAME if shown else own[0][0]
        shown += [(begin + time - own[0][0], number) for time, number in own]
    return shown


@pytest.mark.parametrize("kind", JOINED)
def test_a_joined_file_is_its_parts_one_after_the_other(
    kind: str, make_video: MakeVideo, number_of: NumberOf, tmp_path: Path
) -> None:
    """Times and pictures; in one chunk, cut at keyframes, or between them: each frame is in exactly one chunk."""
    parts = parts_of(make_video, tmp_path, JOINED[kind])
    path = joined(parts, tmp_path / "joined")
    found = probe(path)
    whole = seen(path, number_of, *chunks_between([], found.stretches, found.holes))
    expected = one_by_one(parts, number_of)
    assert [number for _, number in whole] == [number for _, number in expected]
    assert [time for time, _ in whole] == pytest.approx([time for time, _ in expected], abs=1e-3)
    assert all(before < after for (before, _), (after, _) in pairwise(whole))
    assert set(found.keyframes) <= {time for time, _ in whole}
    assert found.duration == pytest.approx(135 * FRAME, abs=0.1)
    assert [one.start for one in told(found, "clock_restarted")] == pytest.approx([60 * FRAME, 105 * FRAME], abs=1e-3)
    for cuts in (found.keyframes[1::2], found.keyframes[1:], (0.33, 2.38, 2.41, 3.3, 4.2, 4.9)):
        chunks = chunks_between(cuts, found.stretches, found.holes)
        assert seen(path, number_of, *chunks) == whole
    some = seen(path, number_of, *chunks_between(found.keyframes[3::4], found.stretches), finest=0.1)
    assert set(some) <= set(whole)


def test_a_clock_that_starts_over_without_a_new_file_is_followed_by_counting(
    make_video: MakeVideo, number_of: NumberOf, tmp_path: Path
) -> None:
    """A camera that reconnects goes on writing the FLV it has begun: no place in it can be opened anew."""
    parts = parts_of(make_video, tmp_path, {"container": "flv"})
    path = tmp_path / "reconnected.flv"
    path.write_bytes(b"".join(part.read_bytes()[13 if number else 0 :] for number, part in enumerate(parts)))
    found = probe(path)
    whole = seen(path, number_of, *chunks_between([], found.stretches))
    expected = one_by_one(parts, number_of)
    assert [number for _, number in whole] == [number for _, number in expected]
    assert [time for time, _ in whole] == pytest.approx([time for time, _ in expected], abs=1e-3)
    assert len(told(found, "clock_restarted")) == 2
    for cuts in (found.keyframes[1:], (0.33, 2.38, 2.41, 3.3, 4.2, 4.9)):
        assert seen(path, number_of, *chunks_between(cuts, found.stretches)) == whole


@pytest.mark.parametrize("later", [0.0, 2.4, 5.0])
@pytest.mark.parametrize("padded", [False, True])
def test_a_video_that_moves_to_another_stream_of_its_transport_stream_goes_on(
    later: float, padded: bool, make_video: MakeVideo, number_of: NumberOf, tmp_path: Path
) -> None:
    """Its clock goes on, starts over, or leaves a gap; also where a player that opens the file knows only the first."""
    options = {"muxrate": "24000000"} if padded else {}
    first, second = tmp_path / "first", tmp_path / "second"
    make_video(container="mpegts", container_options=options).rename(first)
    times = [0.08 + later + i * FRAME for i in range(45)]  # the first part's clock begins at 0.08 s
    moved = {**options, "mpegts_start_pid": "512", "mpegts_copyts": "1"}
    make_video(container="mpegts", frames=45, times=times, container_options=moved).rename(second)
    path = joined([first, second], tmp_path / "moved.ts")
    found = probe(path)
    whole = seen(path, number_of, *chunks_between([], found.stretches, found.holes))
    assert [number for _, number in whole] == [*range(60), *range(45)]
    begin = max(later, 2.4)
    expected = [*(i * FRAME for i in range(60)), *(begin + i * FRAME for i in range(45))]
    assert [time for time, _ in whole] == pytest.approx(expected, abs=1e-3)
    codes = {0.0: ["clock_restarted"], 2.4: [], 5.0: ["gap"]}[later]
    assert [one.code for one in found.warnings] == codes
    assert seen(path, number_of, *chunks_between(found.keyframes[1:], found.stretches)) == whole


@pytest.mark.parametrize(
    ("container", "leap", "believed"),
    [
        ("mpegts", 5.0, True),
        ("mpegts", 30.0, False),
        ("matroska", 30.0, True),  # which says how long it is
        ("mp4", 30.0, True),  # where the picture before says how long it is shown
    ],
)
def test_a_leap_ahead_is_a_gap_unless_it_is_long_and_nothing_speaks_for_it(
    container: str, leap: float, believed: bool, make_video: MakeVideo, number_of: NumberOf
) -> None:
    """A gap stays one, with its times; a joint is closed; a picture that is shown for long is neither."""
    times = [i * FRAME + (leap if i >= 36 else 0.0) for i in range(60)]
    path = make_video(container=container, times=times, stream_options={"x264-params": "bframes=0"})
    found = probe(path)
    whole = seen(path, number_of, *chunks_between([], found.stretches, found.holes))
    assert [number for _, number in whole] == list(range(60))
    expected = times if believed else [i * FRAME for i in range(60)]
    assert [time - whole[0][0] for time, _ in whole] == pytest.approx(expected, abs=1e-3)
    if container == "mp4":
        assert found.warnings == ()
        return
    (one,) = found.warnings
    assert one.code == ("gap" if believed else "clock_restarted")
    assert one.start == pytest.approx(36 * FRAME, abs=1e-3)
    assert one.end == pytest.approx(36 * FRAME + (leap if believed else 0.0), abs=1e-3)


def test_an_ordinary_file_is_read_as_it_is_opened(make_video: MakeVideo) -> None:
    """Late starts, uneven steps and pictures out of order are no joints and no gaps."""
    uneven = [i * 0.04 + (0.3 if i > 20 else 0) + (i % 3) * 0.01 for i in range(60)]
    for how in (
        {"times": uneven},
        {"times": uneven, "container": "mpegts"},
        {"times": [20.0 + i / 25 for i in range(60)], "container": "matroska"},
        {"times": [i * 2.0 for i in range(60)], "container": "matroska", "stream_options": {"bf": "3"}},
        {"times": [i / 25 + (30 if i >= 30 else 0) for i in range(60)]},
        {"codec": "mpeg4", "container": "avi", "stream_options": {"bf": "2"}},
        {"codec": "mjpeg", "container": "avi", "pixels": "yuvj420p"},
    ):
        found = probe(make_video(**how))
        assert (found.stretches, found.holes, found.warnings) == ((), (), ())
