"""Videos whose every frame says which one it is and which way up it is, in all the formats that we read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from testkit.fake_cuda import CUDA
from testkit.numbered_pictures import number_of as number_of_picture
from testkit.numbered_pictures import numbered_picture


@dataclass
class Recipe:
    """How to make a video. `times` are presentation times in seconds, one a frame."""

    codec: str = "libx264"
    container: str = "mp4"
    pixels: str = "yuv420p"
    width: int = 192
    height: int = 128
    rate: int = 25
    frames: int = 60
    times: Sequence[float] | None = None
    gop: int = 12
    turn: int = 0
    mirror: bool = False
    aspect: Fraction | None = None
    interlaced: bool = False
    stream_options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)


def write_video(path: Path, recipe: Recipe) -> Path:
    """Encode numbered pictures; `turn` is clockwise, as a phone held sideways writes it.

    A `mirror`ed video is stored left for right, as by a camera on the user's side, and says so.
    """
    r = recipe
    with av.open(str(path), "w", format=r.container, options=r.container_options) as out:
        stream: Any = out.add_stream(r.codec, rate=r.rate, options=r.stream_options)
        sideways = r.turn in (90, 270)
        stream.width, stream.height = (r.height, r.width) if sideways else (r.width, r.height)
        stream.pix_fmt, stream.gop_size = r.pixels, r.gop
        if r.aspect is not None:
            stream.codec_context.sample_aspect_ratio = r.aspect
        if r.turn or r.mirror:
            # What is said is applied in this order: turned, then mirrored.
            stream.set_display_rotation(-r.turn, hflip=r.mirror)
        if r.interlaced:
            stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        base = Fraction(1, r.rate * 40) if r.times is not None else Fraction(1, r.rate)
        if r.times is not None:
            stream.codec_context.time_base = base
        for number in range(r.frames):
            upright = numbered_picture(number, r.width, r.height)
            picture = np.ascontiguousarray(np.rot90(upright[:, ::-1] if r.mirror else upright, r.turn // 90))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=r.pixels)
            frame.time_base = base
            frame.pts = round(r.times[number] / base) if r.times is not None else number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """`make_video(codec=…, …)`: a file made after that Recipe."""

    def make(**how: Any) -> Path:
        recipe = Recipe(**how)
        return write_video(tmp_path / f"sample.{recipe.container}", recipe)

    return make


@pytest.fixture
def number_of() -> Callable[[NDArray[np.uint8]], int]:
    """Which number an upright picture shows; -1 where it is not upright."""
    return number_of_picture


@pytest.fixture
def picture_of() -> Callable[[int, int, int], NDArray[np.uint8]]:
    """`picture_of(number, width, height)`: RGB."""
    return numbered_picture


@pytest.fixture
def with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ONNX Runtime that was built for CUDA, on a machine without."""
    present = onnxruntime.get_available_providers()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, *present])
