"""Clips of real people for tests, made from the sample, in any codec and container; kept for the session."""

import atexit
import functools
import math
import os
import shutil
import struct
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from deploy.commands.sample import make_clips

Image = NDArray[np.uint8]


@functools.cache
def _folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="castlist-clips-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def sample(name: str) -> Path:
    """One of the sample's clips: `monday` (Obama, then Biden), `wednesday` (Biden and Collins side by side) …"""
    cache = Path(os.environ.get("CASTLIST_CACHE") or Path.home() / ".cache" / "castlist")
    return next(path for path in make_clips(cache) if path.stem == name)


@functools.cache
def frames(name: str) -> tuple[Image, ...]:
    """The frames of a sample clip, RGB, at 25 a second."""
    with av.open(str(sample(name))) as container:
        return tuple(frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))


def two_people(seconds: float = 1.2) -> list[Image]:
    """Obama, then Biden, each for `seconds`: two people, one cut."""
    all_frames, count = frames("monday"), round(seconds * 25)
    half = len(all_frames) // 2
    return [*all_frames[:count], *all_frames[half : half + count]]


def write(
    path: Path,
    images: Iterable[Image],
    codec: str = "libx264",
    *,
    pix_fmt: str = "yuv420p",
    rate: int | Fraction = 25,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    start: float = 0.0,
    gop: int | None = None,
    comment: str | None = None,
) -> Path:
    """Encode `images` (RGB, all of one size) into `path`; the container follows from its suffix.

    A `comment` makes files of the same pictures differ: the same bytes would be the same video.
    """
    with av.open(str(path), "w", options=dict(container_options or {})) as container:
        if comment is not None:
            container.metadata["comment"] = comment
        stream = container.add_stream(codec, rate, options=dict(options or {}))
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        if gop is not None:
            stream.codec_context.gop_size = gop
        for number, image in enumerate(images):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number + round(start * rate), Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def in_other_bytes(clip: bytes, path: Path) -> Path:
    """The same pictures, and another video: a box is put behind the end, which players skip."""
    path.write_bytes(clip + struct.pack(">I4s", 24, b"free") + uuid.uuid4().bytes)
    return path


@functools.cache
def clip(codec: str, suffix: str, pix_fmt: str = "yuv420p", rate: int = 25, **options: str) -> Path:
    """`two_people` in one codec and container."""
    path = _folder() / f"{codec}-{pix_fmt}-{'-'.join(options.values())}{suffix}"
    return write(path, two_people(), codec, pix_fmt=pix_fmt, rate=rate, options=options)


@functools.cache
def minute() -> Path:
    """60 s in four chunks: Obama and Biden alternating every three seconds, a keyframe every two."""
    images = frames("monday")
    looped = (images[i % len(images)] for i in range(60 * 25))
    options = {"preset": "ultrafast", "crf": "23"}
    return write(_folder() / "minute.mp4", looped, options=options, gop=50)


@functools.cache
def long(minutes: int) -> Path:
    """`minute` repeated without encoding it again."""
    return repeat(minute(), _folder() / f"long-{minutes}.mp4", 60 * minutes)


def repeat(clip: Path, path: Path, seconds: float) -> Path:
    """The pictures of `clip`, over and over until `path` has `seconds` of them, without encoding them again."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        packets = [p for p in source.demux(stream) if p.size]
        assert stream.time_base is not None
        shown = [p.pts for p in packets]
        length = max(shown) - min(shown) + max(p.duration or 0 for p in packets)
        out = target.add_stream_from_template(stream)
        for turn in range(math.ceil(seconds / (length * stream.time_base))):
            for original in packets:
                packet = av.Packet(bytes(original))
                packet.pts, packet.dts = original.pts + turn * length, original.dts + turn * length
                packet.stream, packet.time_base, packet.is_keyframe = out, stream.time_base, original.is_keyframe
                target.mux(packet)
    return path


def faceless(count: int = 25) -> list[Image]:
    """Moving gradients: a video without a face."""
    ramp = np.linspace(0, 255, 640, dtype=np.uint8)
    picture = np.repeat(np.tile(ramp, (480, 1))[:, :, None], 3, axis=2)
    return [np.roll(picture, 8 * i, axis=1) for i in range(count)]
