"""Decoding on a graphics card: which streams, and what becomes of them where it fails. None of this needs a card."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings
from castlist_vision.chunk_pipeline import analyse_chunk
from castlist_vision.frames.frame import Frame
from castlist_vision.frames.geometry import Geometry
from castlist_vision.reading import graphics_card
from castlist_vision.reading.chunk_plan import Chunk
from castlist_vision.reading.decode import ChunkDecoder
from castlist_vision.reading.graphics_card import CardFailedError, GraphicsCard, suits
from testkit.numbered_pictures import numbered_picture
from unit.vision.test_face_tracking import CountingEncoder

MakeVideo = Callable[..., Path]
WHOLE = Chunk(0, None, None)
LARGE = {"width": 640, "height": 480, "frames": 30}


def first_picture(path: Path) -> tuple[str, Any]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.codec_context.name, next(container.decode(stream))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param({}, True, id="what cameras write"),
        pytest.param({"codec": "libx265"}, True, id="hevc"),
        pytest.param({"width": 320, "height": 240}, False, id="too small to be worth it"),
        pytest.param({"turn": 90}, False, id="turned"),
        pytest.param({"mirror": True}, False, id="mirrored"),
        pytest.param({"interlaced": True}, False, id="interlaced"),
        pytest.param({"pixels": "yuv422p"}, False, id="4:2:2"),
        pytest.param({"pixels": "yuv420p10le"}, False, id="10 bits"),
        pytest.param({"codec": "mpeg4"}, False, id="a codec of before"),
    ],
)
def test_which_streams_are_for_a_card(how: dict[str, Any], expected: bool, make_video: MakeVideo) -> None:
    """Those that cards decode, and that come out of them as they do in software."""
    assert suits(*first_picture(make_video(**(LARGE | how)))) is expected


@pytest.fixture
def promised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> GraphicsCard:
    """A machine with the device of a driver, and no card behind it."""
    device = tmp_path / "nvidiactl"
    device.touch()
    monkeypatch.setattr(graphics_card, "_DEVICES", (str(device),))
    return GraphicsCard()


def decoded(path: Path, card: GraphicsCard | None = None) -> list[tuple[float, bytes]]:
    return [(frame.time, frame.gray.tobytes()) for frame in ChunkDecoder(path, WHOLE, 0.1, card)]


def test_a_card_that_cannot_be_used_is_asked_once(
    promised: GraphicsCard, make_video: MakeVideo, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why; the pictures are those of software."""
    path = make_video(**LARGE)
    expected = decoded(path)
    assert expected
    assert decoded(path, promised) == decoded(path, promised) == expected
    assert [record.message for record in caplog.records] == ["graphics_card_unusable"]


def test_a_video_whose_first_picture_is_damaged_is_for_software(promised: GraphicsCard, make_video: MakeVideo) -> None:
    """What it is like is not known then."""
    path = make_video(**LARGE, codec="libvpx-vp9", container="webm")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        first = next(container.demux(video=0))
        data[first.pos + 8 : first.pos + first.size] = bytes(first.size - 8)
    path.write_bytes(data)
    with pytest.raises(av.error.FFmpegError):
        first_picture(path)
    assert decoded(path, promised) == decoded(path)


def test_without_a_driver_no_card_is_asked(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is anything said of it: most machines have none."""
    monkeypatch.setattr(graphics_card, "_DEVICES", ())
    assert GraphicsCard().decoder_for(make_video(**LARGE), None) is None
    assert not caplog.records


class Card(GraphicsCard):
    """Decodes everything, as it says; in truth it is done in software."""

    def __init__(self) -> None:
        self.asked = 0

    def decoder_for(self, *_: Any) -> Any:
        self.asked += 1
        return _Software()


class _Software:
    """In the place of an accelerator: `av.open` is given none."""


@pytest.fixture
def pretending(monkeypatch: pytest.MonkeyPatch) -> Card:
    """A card whose pictures are as software makes them."""
    opened = av.open
    monkeypatch.setattr(av, "open", lambda *given, hwaccel=None, **named: opened(*given, **named))
    return Card()


def test_what_a_card_cannot_decode_is_done_again_in_software(pretending: Card, make_video: MakeVideo) -> None:
    """Whole: with the same result, warnings included; progress does not fall."""
    path = make_video(**LARGE)
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = b"\x55" * (len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    with pytest.raises(CardFailedError):
        decoded(path, pretending)
    heard: list[float] = []
    result = analyse_chunk(path, WHOLE, AnalysisSettings(), CountingEncoder(), heard.append, card=pretending)
    assert pretending.asked == 2
    assert result == analyse_chunk(path, WHOLE, AnalysisSettings(), CountingEncoder())
    assert "damaged" in {one.code for one in result.warnings}
    assert heard == sorted(heard)


def test_what_a_card_decodes_is_taken_as_it_is(pretending: Card, make_video: MakeVideo) -> None:
    """Once."""
    path = make_video(**LARGE)
    assert decoded(path, pretending) == decoded(path)
    assert pretending.asked == 1


@pytest.mark.parametrize("region", [Box(0, 0, 64, 48), Box(33, 21, 41, 27), Box(-10, 100, 60, 60)])
def test_pictures_as_cards_give_them_look_as_those_of_software(region: Box) -> None:
    """nv12 has both colours in one plane."""
    planar = av.VideoFrame.from_ndarray(numbered_picture(5, 192, 128), format="rgb24").reformat(format="yuv420p")
    seen = [Frame(0.0, coded, Geometry(192, 128, 0, 1.0)) for coded in (planar, planar.reformat(format="nv12"))]
    assert np.array_equal(seen[0].gray, seen[1].gray)
    assert np.array_equal(seen[0].cut(region).colour, seen[1].cut(region).colour)
    whole = replace(region, left=0, top=0, width=192, height=128)
    assert np.array_equal(seen[0].cut(whole).colour, seen[1].cut(whole).colour)
