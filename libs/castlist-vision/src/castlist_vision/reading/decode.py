"""Decode one chunk of a video into upright frames with true times, on one thread."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av.error

from castlist.contract.values import Hole, Stretch
from castlist_vision.frames.frame import Frame
from castlist_vision.frames.geometry import Geometry
from castlist_vision.reading.chunk_plan import Chunk
from castlist_vision.reading.decoding_times import DecodingTimes
from castlist_vision.reading.graphics_card import CardFailedError, GraphicsCard
from castlist_vision.reading.media import Media, open_media
from castlist_vision.reading.picture_count import PictureCount

# Where a decoder can tell which pictures no other picture needs, and skipping those left all other pictures and their
# times as they were (tests). It saves about 40 % of the decoding of H.264.
_SKIPPABLE = {"h264", "hevc", "mpeg2video", "mpeg4", "mpeg1video"}
# How far before a chunk to look for the packets it begins with: decode order and presentation order differ by less.
_REORDERING = 1.0


class ChunkDecoder:
    """The frames of one chunk, once.

    Iterating yields each frame with start <= time < end in the order it is shown. `finest` is the longest step between
    frames that the caller can use: pictures are skipped only while the rest come at least that often (None: skip none).
    After the iteration `frames` says how many were decoded into this chunk, `damage` between which times some could not
    be, `lost` how many of its packets' pictures neither came out nor were skipped, where that is more than one in a
    hundred. Raises a MediaError where the file cannot be opened; with a `card`, CardFailedError where anything is wrong
    with what it decoded: without it one knows what, and what can be had all the same.
    """

    def __init__(self, path: Path, chunk: Chunk, finest: float | None = None, card: GraphicsCard | None = None) -> None:
        self.frames = 0
        self.damage: list[Hole] = []
        self.lost = 0
        self._duration = 0.0
        self._path = path
        self._chunk = chunk
        self._finest = finest
        self._card = card
        self._on_card = False
        self._last: float | None = None
        """when the frame was shown that came last"""
        self._damaged: Hole | None = None
        """between which times packets cannot be decoded that are shown next"""
        self._before_damage = 0.0
        self._holes = [hole.end for hole in chunk.holes]

    def __iter__(self) -> Iterator[Frame]:
        for stretch in self._chunk.stretches or (None,):
            yield from self._stretch(stretch)
        if self._damaged is not None:
            self._end_damage(self._damaged.end)
        if self._on_card and (self.damage or self.lost):
            raise CardFailedError("not everything could be decoded")

    def _stretch(self, stretch: Stretch | None) -> Iterator[Frame]:
        accelerator = self._card.decoder_for(self._path, stretch) if self._card else None
        self._on_card |= accelerator is not None
        for lead in (_REORDERING, 10 * _REORDERING, None):
            with open_media(self._path, stretch, accelerator) as media:
                self._duration = media.duration
                start = self._chunk.start
                if stretch is not None and (stretch.packets is not None or start is None or start <= stretch.start):
                    start = None
                packets = self._packets(media, start, lead, stretch)
                first = next(packets, None)
                if first is None and lead is not None and start is not None:
                    continue  # the index led past the keyframe that this chunk needs
                yield from self._frames(media, first, packets, stretch)
                return

    def fraction(self, time: float) -> float:
        """How much of the chunk lies before `time`, 0 to 1; where the container does not say how long it is: 0."""
        start = self._chunk.start or 0.0
        length = (self._duration if self._chunk.end is None else self._chunk.end) - start
        return min(1.0, max(0.0, (time - start) / length)) if length > 0 else 0.0

    def _packets(self, media: Media, start: float | None, lead: float | None, stretch: Stretch | None) -> Iterator[Any]:
        """Packets from the last keyframe at or before the start; none where seeking came out behind it.

        `lead` is how many seconds before the start to look; without one, the file or its stretch is read from its
        beginning.
        """
        try:
            if start is None or lead is None:
                yield from _own(media.packets(media.stream), stretch)
                return
            if not media.bare:
                try:
                    media.container.seek(media.ticks(start - lead), stream=media.stream, backward=True)
                except av.error.FFmpegError:
                    return  # before the first place that it knows
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
            self._note_damage(self._last)

    def _frames(self, media: Media, first: Any, rest: Iterator[Any], stretch: Stretch | None) -> Iterator[Frame]:
        context = media.stream.codec_context
        finest = self._finest or 0.0
        skipping = finest > 0 and context.name in _SKIPPABLE and not (media.unstamped or media.bare)
        if skipping:
            context.skip_frame = "NONREF"
        last = float("inf")
        stamps = DecodingTimes(context, measured=media.name == "asf")
        number: int | None = None  # of the next frame, of a bare stream
        geometry: dict[tuple[int, int, int], Geometry] = {}
        ends = _End(media, self._chunk.end, counted=stretch is not None and stretch.packets is not None)
        parted = self._last is not None
        count, first_shown = PictureCount(media.stream), None
        for packet in chain(() if first is None else (first,), rest, (None,)):
            over = ends.reached_by(packet)
            if packet is not None and packet.is_corrupt:
                self._note_damage(media.shown(packet))
            if not over:
                stamps.put_in(packet.dts)
            if not over and not media.bare:
                shown = media.shown(packet)
                if first_shown is None and packet.is_keyframe:
                    first_shown = shown
                # What is shown before the first keyframe needs pictures that are not there.
                if shown is not None and first_shown is not None and shown >= first_shown and self._chunk.holds(shown):
                    count.put_in(packet, skipping)
            try:
                decoded = media.stream.decode(None if over else packet)
            except av.error.EOFError:
                decoded = []
            except av.error.FFmpegError:
                self._note_damage(self._last if packet is None else media.shown(packet))
                stamps.take_back(over)
                decoded = []
            for coded in decoded:
                ticks = coded.dts if coded.pts is None else coded.pts
                if media.unstamped:
                    ticks = stamps.of_next(over)
                if media.bare:
                    if number is None:
                        # What leads to a start point can be missing: then that is the first to come out.
                        number = round((first.pts if coded.key_frame else first.dts) / media.frame_ticks)
                    ticks, number = round(number * media.frame_ticks), number + 1
                if ticks is None and self._last is not None:
                    continue
                time = 0.0 if ticks is None else media.seconds(ticks)
                if not self._chunk.holds(time) or (stretch is not None and time < stretch.start):
                    over |= (media.unstamped or media.bare) and _reached(self._chunk.end, time)
                    continue
                if skipping and time - last > finest:
                    context.skip_frame, skipping = "DEFAULT", False
                last = time
                self.frames += 1
                count.decoded += 1
                count.interlaced |= coded.interlaced_frame
                if self._last is not None and time < self._last:
                    continue  # damage brought it out of its turn
                shape = (coded.width, coded.height, coded.rotation)
                if shape not in geometry:
                    geometry[shape] = Geometry.of(coded, media.stream)
                parted |= self._is_behind_a_hole(time, coded)
                yield Frame(time, coded, geometry[shape], self._shown(media, coded, time), parted)
                parted = False
            if over:
                break
        self.lost += count.lost

    def _is_behind_a_hole(self, time: float, coded: Any) -> bool:
        """Whether pictures are missing right before this frame, which is shown next."""
        behind = False
        while self._holes and self._holes[0] <= time:
            del self._holes[0]
            behind = self._last is not None
        if coded.is_corrupt:
            self._note_damage(time)
        elif self._damaged is not None and time > self._damaged.end:
            self._end_damage(time)
            behind = True
        if self._damaged is not None and time < self._damaged.start:
            self._before_damage = time
        self._last = time
        return behind

    def _note_damage(self, time: float | None) -> None:
        """What is shown at this time cannot be decoded; without one: nobody knows when it would have been shown."""
        time = self._last or self._chunk.start or 0.0 if time is None else time
        if not self._chunk.holds(time):
            return
        if self._damaged is None:
            self._before_damage = time if self._last is None else min(self._last, time)
            self._damaged = Hole(time, time)
        else:
            self._damaged = Hole(min(self._damaged.start, time), max(self._damaged.end, time))

    def _end_damage(self, time: float) -> None:
        self.damage.append(Hole(self._before_damage, time))
        self._damaged = None

    def _shown(self, media: Media, coded: Any, time: float) -> float:
        """For how many seconds the frame says that it is shown, up to the end of the chunk."""
        end = media.duration if self._chunk.end is None else self._chunk.end
        return max(0.0, min(media.length(coded.duration or 0), end - time))


class _End:
    """Notices that no packet from this one on can hold a frame of the chunk."""

    def __init__(self, media: Media, end: float | None, counted: bool) -> None:
        self._media, self._end, self._counted = media, end, counted
        self._keyframe = False

    def reached_by(self, packet: Any) -> bool:
        """Whether this packet, or the end of all (None), comes after the last of the chunk."""
        if packet is None or packet.size == 0:
            return True
        if self._counted:
            # Behind a joint decoding times are not to be trusted; what is shown before a keyframe comes before another.
            if not packet.is_keyframe:
                return False
            shown = self._media.shown(packet)
            before, self._keyframe = self._keyframe, shown is not None and _reached(self._end, shown)
            return before
        if self._media.unstamped or self._media.bare or packet.dts is None:
            return False
        return _reached(self._end, self._media.seconds(packet.dts))


def _own(packets: Iterator[Any], stretch: Stretch | None) -> Iterator[Any]:
    """Of all packets of a track those of the stretch."""
    if stretch is None:
        return packets
    return islice(packets, stretch.skip, None if stretch.packets is None else stretch.skip + stretch.packets)


def _reached(end: float | None, time: float) -> bool:
    return end is not None and time >= end
