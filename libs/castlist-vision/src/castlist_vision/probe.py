"""Look at a video without decoding it: how long, how large, which way up, and where it can be cut."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av.error

from castlist_vision.geometry import Geometry
from castlist_vision.media import Media, open_media
from castlist_vision.media_errors import LimitsExceededError, UndecodableVideoError

# GIF marks every picture as a keyframe, but each builds on the one before.
_ONE_KEYFRAME = {"gif"}
_TRUNCATED_BY = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still worked through. `seconds` bounds the plan, `pixels` (coded) the memory of one frame."""

    seconds: float = 24 * 3600.0
    pixels: int = 8192 * 4352


@dataclass(frozen=True, slots=True)
class Probe:
    """What the plan and the video's record need. Times are presentation time minus the container's start time.

    `width` and `height` are those of the upright frame in square pixels; `rotation` is how many degrees the coded
    picture is turned clockwise to get there, `sample_aspect` how much wider than high a coded pixel is shown.
    `truncated`: packets end well before the container says that they do.
    """

    duration: float
    width: int
    height: int
    rotation: int
    sample_aspect: float
    frame_rate: float
    keyframes: tuple[float, ...]
    start_time: float
    interlaced: bool
    codec: str
    container: str
    truncated: bool


def probe(path: Path, limits: Limits = Limits()) -> Probe:
    """Read every packet of `path` and decode one picture; raises a MediaError that says why it cannot be used."""
    with open_media(path) as media:
        context = media.stream.codec_context
        if context.width * context.height > limits.pixels:
            raise LimitsExceededError(f"{context.width}x{context.height} pixels are more than {limits.pixels}")
        packets, first = _read(media)
        if first is None:
            raise UndecodableVideoError("not one picture of this video can be decoded")
        if first.width * first.height > limits.pixels:
            raise LimitsExceededError(f"{first.width}x{first.height} pixels are more than {limits.pixels}")
        promised = media.duration
        truncated = packets.broken or promised - packets.end > max(_TRUNCATED_BY, packets.longest)
        duration = packets.end if truncated or not promised else max(promised, packets.video_end)
        if duration > limits.seconds:
            raise LimitsExceededError(f"{duration:.0f} s are more than {limits.seconds:.0f}")
        geometry = Geometry.of(first, media.stream)
        return Probe(
            duration=duration,
            width=geometry.width,
            height=geometry.height,
            rotation=geometry.rotation,
            sample_aspect=geometry.sample_aspect,
            frame_rate=media.frame_rate,
            keyframes=tuple(sorted(packets.keyframes)),
            start_time=media.start_time,
            interlaced=first.interlaced_frame,
            codec=context.name,
            container=media.container.format.name,
            truncated=truncated,
        )


@dataclass(slots=True)
class _Packets:
    """What demuxing alone tells; seconds."""

    keyframes: set[float] = field(default_factory=set)
    end: float = 0.0
    video_end: float = 0.0
    longest: float = 0.0
    broken: bool = False


def _read(media: Media) -> tuple[_Packets, Any]:
    """Demux everything, and decode up to the first picture that can be decoded (None: there is none)."""
    seen = _Packets()
    first = None
    try:
        for packet in media.packets():
            if packet.size == 0:  # the end of a stream
                if first is None and packet.stream is media.stream:
                    first = _decoded(packet)
                continue
            if packet.is_discard:
                continue
            ticks = packet.dts if packet.pts is None else packet.pts
            if ticks is None:
                continue
            length = float((packet.duration or 0) * packet.time_base)
            time = float(ticks * packet.time_base) - media.start_time
            seen.end = max(seen.end, time + length)
            seen.longest = max(seen.longest, length)
            if packet.stream is not media.stream:
                continue
            seen.broken |= packet.is_corrupt
            seen.video_end = max(seen.video_end, time + length)
            if packet.is_keyframe and not (seen.keyframes and media.stream.codec_context.name in _ONE_KEYFRAME):
                seen.keyframes.add(media.shown(packet) or 0.0)
            if first is None:
                first = _decoded(packet)
    except av.error.FFmpegError:
        seen.broken = True
    return seen, first


def _decoded(packet: Any) -> Any:
    try:
        frames = packet.decode()
    except av.error.FFmpegError:
        return None
    return frames[0] if frames else None
