"""Decode one chunk of a video into upright frames with true times, on one thread."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av.error

from castlist_vision.chunk_plan import Chunk
from castlist_vision.frame import Frame
from castlist_vision.geometry import Geometry
from castlist_vision.media import Media, open_media

# Where a decoder can tell which pictures no other picture needs, and skipping those left all other pictures and their
# times as they were (tests). It saves about 40 % of the decoding of H.264.
_SKIPPABLE = {"h264", "hevc", "mpeg2video", "mpeg4", "mpeg1video"}
# How far before a chunk to look for the packets it begins with: decode order and presentation order differ by less.
_REORDERING = 1.0


class ChunkDecoder:
    """The frames of one chunk, once.

    Iterating yields each frame with start <= time < end in the order it is shown. `finest` is the longest step between
    frames that the caller can use: pictures are skipped only while the rest come at least that often (None: skip none).
    After the iteration `frames` says how many were decoded into this chunk, `damaged` whether some could not be.
    Raises a MediaError where the file cannot be opened.
    """

    def __init__(self, path: Path, chunk: Chunk, finest: float | None = None) -> None:
        self.frames = 0
        self.damaged = False
        self._duration = 0.0
        self._path = path
        self._chunk = chunk
        self._finest = finest

    def __iter__(self) -> Iterator[Frame]:
        for lead in (_REORDERING, 10 * _REORDERING, None):
            with open_media(self._path) as media:
                self._duration = media.duration
                packets = self._packets(media, lead)
                first = next(packets, None)
                if first is None and lead is not None and self._chunk.start is not None:
                    continue  # the index led past the keyframe that this chunk needs
                yield from self._frames(media, first, packets)
                return

    def fraction(self, time: float) -> float:
        """How much of the chunk lies before `time`, 0 to 1; where the container does not say how long it is: 0."""
        start = self._chunk.start or 0.0
        length = (self._duration if self._chunk.end is None else self._chunk.end) - start
        return min(1.0, max(0.0, (time - start) / length)) if length > 0 else 0.0

    def _packets(self, media: Media, lead: float | None) -> Iterator[Any]:
        """Packets from the last keyframe at or before the chunk's start; none where seeking came out behind it.

        `lead` is how many seconds before the start to look; None reads the file from its beginning.
        """
        start = self._chunk.start
        try:
            if start is None or lead is None:
                yield from media.packets(media.stream)
                return
            if not media.bare:
                media.container.seek(media.ticks(start - lead), stream=media.stream, backward=True)
            held: list[Any] = []
            latest = 0
            packets = media.packets(media.stream)
            for packet in packets:
                shown = media.shown(packet)
                decoded = shown if packet.dts is None else media.seconds(packet.dts)
                if packet.is_keyframe and shown is not None and shown <= start:
                    # Without presentation times it is unknown which frames around a keyframe are shown before it, and
                    # need the stretch before: that is decoded as well.
                    held, latest = [*held[latest:], packet] if media.unstamped else [packet], len(held) - latest
                elif held:
                    held.append(packet)
                elif packet.is_keyframe:
                    return
                if packet.size == 0 or (decoded is not None and decoded > start):
                    break
            if held:
                yield from held
                yield from packets
        except av.error.FFmpegError:
            self.damaged = True

    def _frames(self, media: Media, first: Any, rest: Iterator[Any]) -> Iterator[Frame]:
        context = media.stream.codec_context
        finest = self._finest or 0.0
        skipping = finest > 0 and context.name in _SKIPPABLE and not (media.unstamped or media.bare)
        if skipping:
            context.skip_frame = "NONREF"
        last = float("inf")
        fed = 0  # the decoding time of the newest packet
        number: int | None = None  # of the next frame, of a bare stream
        geometry: dict[tuple[int, int, int], Geometry] = {}
        packet = first
        while packet is not None:
            ends = self._ends(media, packet)
            self.damaged |= bool(packet.is_corrupt)
            fed = fed + 1 if packet.dts is None else packet.dts
            try:
                decoded = media.stream.decode(None if ends else packet)
            except av.error.EOFError:
                decoded = []
            except av.error.FFmpegError:
                self.damaged, decoded = True, []
            for coded in decoded:
                ticks = coded.dts if coded.pts is None else coded.pts
                if media.unstamped:
                    # It came out when its successor in decoding order, `reorder_depth` later, went in.
                    ticks, fed = fed - context.reorder_depth, fed + (1 if ends else 0)
                if media.bare:
                    if number is None:
                        # What leads to a start point can be missing: then that is the first to come out.
                        number = round((first.pts if coded.key_frame else first.dts) / media.frame_ticks)
                    ticks, number = round(number * media.frame_ticks), number + 1
                if ticks is None:
                    continue
                time = media.seconds(ticks)
                if not self._chunk.holds(time):
                    ends |= (media.unstamped or media.bare) and _reached(self._chunk.end, time)
                    continue
                if skipping and time - last > finest:
                    context.skip_frame, skipping = "DEFAULT", False
                last = time
                self.frames += 1
                shape = (coded.width, coded.height, coded.rotation)
                if shape not in geometry:
                    geometry[shape] = Geometry.of(coded, media.stream)
                yield Frame(time, coded, geometry[shape], self._shown(media, coded, time))
            if ends:
                return
            packet = next(rest, None)

    def _shown(self, media: Media, coded: Any, time: float) -> float:
        """For how many seconds the frame says that it is shown, up to the end of the chunk."""
        end = media.duration if self._chunk.end is None else self._chunk.end
        return max(0.0, min(float((coded.duration or 0) * media.stream.time_base), end - time))

    def _ends(self, media: Media, packet: Any) -> bool:
        """Whether no packet from this one on can hold a frame of the chunk: those are shown after they are decoded."""
        if packet.size == 0:
            return True
        stamped = not (media.unstamped or media.bare) and packet.dts is not None
        return stamped and _reached(self._chunk.end, media.seconds(packet.dts))


def _reached(end: float | None, time: float) -> bool:
    return end is not None and time >= end
