"""A local video file, opened for one reader on one thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.format
import av.logging

from castlist.media.containers import ENOUGH, container_of
from castlist.media.other_files import what_else
from castlist_vision.bare_stream import numbered
from castlist_vision.media_errors import NotAVideoError, NoVideoStreamError

_STILL_BRANDS = {"avif", "heic", "heix", "mif1"}

# A hostile file can log a line per packet; what matters is raised or counted.
av.logging.set_level(av.logging.PANIC)


@dataclass(frozen=True, slots=True)
class Media:
    """An open container, its video stream, and the container's start on the presentation clock, in seconds."""

    container: Any
    stream: Any
    start_time: float
    unstamped: bool
    """Packets have no presentation times (AVI): frames take the decoding times, in the order they come out."""
    bare: bool
    """A stream without a container, and so without any times: its frames are counted."""

    @property
    def duration(self) -> float:
        """What the container says; 0 where it does not."""
        return float(self.container.duration / av.time_base) if self.container.duration else 0.0

    @property
    def frame_rate(self) -> float:
        """Frames a second, as far as the stream says; 0 where it does not."""
        rate = (self.stream.guessed_rate if self.bare else None) or self.stream.average_rate or self.stream.guessed_rate
        return float(rate) if rate else 0.0

    @property
    def frame_ticks(self) -> float:
        """How long a frame of a bare stream is shown."""
        return 1 / (self.frame_rate * float(self.stream.time_base))

    def packets(self, *streams: Any) -> Iterator[Any]:
        """The packets from here on, of all streams or of `streams`; of a bare one, from its beginning and numbered."""
        packets: Iterator[Any] = self.container.demux(*streams)
        return numbered(packets, self.frame_ticks) if self.bare else packets

    def seconds(self, ticks: int) -> float:
        """A timestamp of the video stream as a player shows it. The same ticks give the same float everywhere."""
        base = self.stream.time_base
        return float(ticks * base.numerator / base.denominator) - self.start_time

    def shown(self, packet: Any) -> float | None:
        """When the packet's frame is shown, as far as the packet knows."""
        ticks = packet.dts if self.unstamped or packet.pts is None else packet.pts
        return None if ticks is None else self.seconds(ticks)

    def ticks(self, seconds: float) -> int:
        """The inverse of `seconds`, rounded down."""
        return int((seconds + self.start_time) / self.stream.time_base)


@contextmanager
def open_media(path: Path) -> Iterator[Media]:
    """Open `path` for demuxing and decoding on one thread; raises NotAVideoError or NoVideoStreamError."""
    with path.open("rb") as file:
        head = file.read(ENOUGH)
    listed = container_of(head)
    if listed is None:
        raise NotAVideoError(f"not a video: it is {what_else(head)}")
    # What one demuxer opens by itself must be as safe: no other format, and nothing but this file.
    options = {"format_whitelist": listed.demuxer, "protocol_whitelist": "file"}
    try:
        container = av.open(str(path), format=listed.demuxer, options=options)
    except (av.error.FFmpegError, ValueError) as error:
        raise NotAVideoError(f"{listed.name}, but too damaged to be opened") from error
    with container:
        if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
            raise NotAVideoError("a still picture, not a video")
        stream = _video_stream(container)
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        start = container.start_time
        bare = bool(container.format.flags & av.format.Flags.no_timestamps.value)
        start_time = 0.0 if start is None or bare else start / av.time_base
        yield Media(container, stream, start_time, container.format.name == "avi", bare)


def _video_stream(container: Any) -> Any:
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures and s.codec_context is not None]
    if not streams:
        raise NoVideoStreamError("there is no video in this file")
    # Several: the one that a player starts with, then the largest.
    return max(streams, key=lambda s: (bool(s.disposition & av.stream.Disposition.default), s.width * s.height))
