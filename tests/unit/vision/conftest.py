"""Videos whose every frame says which one it is and which way up it is, in all the formats that we read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

BITS = 10


def numbered_picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """RGB: `number` in ten white-or-black fields along the top, white at the left, red in the bottom half."""
    picture = np.full((height, width, 3), 60, np.uint8)
    band = height // 4
    left = width // 8
    cell = (width - left) // BITS
    for bit in range(BITS):
        picture[:band, left + bit * cell : left + (bit + 1) * cell] = 235 if number >> bit & 1 else 16
    picture[:, :left] = 235
    picture[height // 2 :, left:] = (200, 20, 20)
    return picture


def _number_of(gray: NDArray[np.uint8]) -> int:
    """The number that an upright picture shows; -1 where it is not upright."""
    height, width = gray.shape
    band, left = height // 4, width // 8
    cell = (width - left) / BITS
    if gray[height // 4 : 3 * height // 4, left // 3 : left * 2 // 3].mean() < 180:
        return -1
    middles = [
        gray[band // 3 : band * 2 // 3, int(left + (bit + 0.35) * cell) : int(left + (bit + 0.65) * cell)]
        for bit in range(BITS)
    ]
    return sum(1 << bit for bit, middle in enumerate(middles) if middle.mean() > 125)


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
    aspect: Fraction | None = None
    interlaced: bool = False
    stream_options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)


def write_video(path: Path, recipe: Recipe) -> Path:
    """Encode numbered pictures; `turn` is clockwise, as a phone held sideways writes it."""
    r = recipe
    with av.open(str(path), "w", format=r.container, options=r.container_options) as out:
        stream: Any = out.add_stream(r.codec, rate=r.rate, options=r.stream_options)
        sideways = r.turn in (90, 270)
        stream.width, stream.height = (r.height, r.width) if sideways else (r.width, r.height)
        stream.pix_fmt, stream.gop_size = r.pixels, r.gop
        if r.aspect is not None:
            stream.codec_context.sample_aspect_ratio = r.aspect
        if r.turn:
            stream.set_display_rotation(-r.turn)
        if r.interlaced:
            stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        base = Fraction(1, r.rate * 40) if r.times is not None else Fraction(1, r.rate)
        if r.times is not None:
            stream.codec_context.time_base = base
        for number in range(r.frames):
            picture = np.ascontiguousarray(np.rot90(numbered_picture(number, r.width, r.height), r.turn // 90))
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
    return _number_of
