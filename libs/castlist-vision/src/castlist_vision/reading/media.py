"""A local video file, opened for one reader on one thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.format
import av.logging
from av.codec.hwaccel import HWAccel

from castlist.contract.values import Stretch
from castlist.media.containers import ENOUGH, container_of
from castlist.media.other_files import what_else
from castlist_vision.reading.bare_stream import numbered
from castlist_vision.reading.media_errors import NotAVideoError, NoVideoStreamError

MOST_PIXELS = 8192 * 4352
"""Of a coded picture: what a decoder may make room for."""
_STILL_BRANDS = {"avif", "heic", "heix", "mif1"}

# A hostile file can log a line per packet; what matters is raised or counted.
av.logging.set_level(av.logging.PANIC)


@dataclass(frozen=True, slots=True)
class Media:
    """An open container, one of its video streams, and what its clock says when the video begins, in seconds."""

    container: Any
    stream: Any
    start_time: float
    time_base: Fraction
    """The stream's, which makes a new one each time it is asked: for every frame that is a hundredth of decoding it."""
    unstamped: bool
    """Packets have no presentation times (AVI, ASF): frames take the decoding times, in the order they come out."""
    bare: bool
    """A stream without a container, and so without any times: its frames are counted."""

    @property
    def name(self) -> str:
        """FFmpeg's name of the container; where it has several, the first."""
        return str(self.container.format.name).split(",")[0]

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
        return 1 / (self.frame_rate * float(self.time_base))

    def seconds(self, ticks: int) -> float:
        """A timestamp of the video stream as a player shows it. The same ticks give the same float everywhere."""
        return self.length(ticks) - self.start_time

    def length(self, ticks: int) -> float:
        """So many ticks in seconds."""
        return float(ticks * self.time_base.numerator / self.time_base.denominator)

    def shown(self, packet: Any) -> float | None:
        """When the packet's frame is shown, as far as the packet knows."""
        ticks = packet.dts if self.unstamped or packet.pts is None else packet.pts
        return None if ticks is None else self.seconds(ticks)

    def ticks(self, seconds: float) -> int:
        """The inverse of `seconds`, rounded down."""
        return int((seconds + self.start_time) / self.time_base)

    def packets(self, stream: Any = None) -> Iterator[Any]:
        """The packets from here on, of one stream or of all; each stream ends with an empty one.

        Those of a bare stream are numbered, and have to be read from its beginning.
        """
        packets: Iterator[Any] = self.container.demux() if stream is None else self.container.demux(stream)
        return numbered(packets, self.frame_ticks) if self.bare else packets


@contextmanager
def open_media(path: Path, stretch: Stretch | None = None, accelerator: HWAccel | None = None) -> Iterator[Media]:
    """Open `path`, or a stretch of it, on one thread; raises NotAVideoError or NoVideoStreamError.

    `accelerator`: what its pictures are decoded with, where it can decode them.

    Without a stretch it is the track that a player starts with, on the container's own clock.
    """
    try:
        position, end = (0, None) if stretch is None else (stretch.position, stretch.end)
        with opened(path, position, end, accelerator) as container:
            stream = first_choice(container) if stretch is None else container.streams[stretch.track]
            start = container.start_time
            shift = (0.0 if start is None else start / av.time_base) if stretch is None else stretch.shift
            yield media_of(container, stream, shift)
    except IndexError as error:
        raise NoVideoStreamError("a track of the plan is not in this file") from error


@contextmanager
def opened(path: Path, position: int = 0, end: int | None = None, accelerator: HWAccel | None = None) -> Iterator[Any]:
    """The container in the bytes from `position` to `end` (None: all that follow)."""
    with path.open("rb") as file:
        head = file.read(ENOUGH)
    listed = container_of(head)
    if listed is None:
        raise NotAVideoError(f"not a video: it is {what_else(head)}")
    # What a demuxer opens by itself must be as safe: no other format, and nothing but this file.
    options = {"format_whitelist": listed.demuxer, "protocol_whitelist": "file,subfile"}
    part = position or end is not None
    url = f"subfile,,start,{position},end,{end or 0},,:{path}" if part else str(path)
    try:
        container = av.open(url, format=listed.demuxer, options=options, hwaccel=accelerator)
    except (av.error.FFmpegError, ValueError) as error:
        raise NotAVideoError(f"{listed.name}, but too damaged to be opened") from error
    with container:
        if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
            raise NotAVideoError("a still picture, not a video")
        yield container


def media_of(container: Any, stream: Any, shift: float) -> Media:
    """The reader of one stream."""
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    # A picture inside may be larger than the container says: its decoder is not to make room for it.
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    # Their timestamps are those of decoding, whatever FFmpeg makes of them.
    unstamped = container.format.name in ("avi", "asf")
    bare = bool(container.format.flags & av.format.Flags.no_timestamps.value)
    return Media(container, stream, shift, stream.time_base, unstamped, bare)


def video_streams(container: Any) -> list[Any]:
    """The tracks of moving pictures, the one that a player starts with first, then by size; covers are none."""
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    return sorted(streams, key=lambda s: (not s.disposition & av.stream.Disposition.default, -_area(s), s.index))


def first_choice(container: Any) -> Any:
    """The track that a player starts with, as far as is known without reading it."""
    streams = [s for s in video_streams(container) if s.codec_context is not None]
    if not streams:
        raise NoVideoStreamError("there is no video in this file")
    return streams[0]


def _area(stream: Any) -> int:
    context = stream.codec_context
    return 0 if context is None else int(context.width * context.height)
