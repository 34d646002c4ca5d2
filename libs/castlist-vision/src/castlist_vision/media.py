"""A local video file, opened for one reader on one thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.logging

from castlist_vision.media_errors import NotAVideoError, NoVideoStreamError

# Only demuxers of real containers: playlists and `concat` files would open other files and addresses for who sends
# them, and picture demuxers would make a video of every photograph.
_CONTAINERS = "mov,mp4,matroska,webm,mpegts,mpeg,avi,flv,gif,asf,ogg,mxf"
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

    @property
    def duration(self) -> float:
        """What the container says; 0 where it does not."""
        return float(self.container.duration / av.time_base) if self.container.duration else 0.0

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
    try:
        container = av.open(str(path), options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"})
    except (av.error.FFmpegError, ValueError) as error:
        raise NotAVideoError("not a video in a format that is read, or too damaged to be opened") from error
    with container:
        if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
            raise NotAVideoError("a still picture, not a video")
        stream = _video_stream(container)
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        start = container.start_time
        yield Media(container, stream, 0.0 if start is None else start / av.time_base, container.format.name == "avi")


def _video_stream(container: Any) -> Any:
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures and s.codec_context is not None]
    if not streams:
        raise NoVideoStreamError("there is no video in this file")
    # Several: the one that a player starts with, then the largest.
    return max(streams, key=lambda s: (bool(s.disposition & av.stream.Disposition.default), s.width * s.height))
