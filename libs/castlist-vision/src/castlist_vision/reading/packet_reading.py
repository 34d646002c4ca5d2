"""Read the packets of a whole file, decoding no more than a picture of each track: its stretches, on one clock.

A file may be several that were joined. Where its clock starts over it is opened anew, if such a file can be, so that
each stretch is read as the file that it was. Where it cannot, packets are counted instead.
"""

from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import av.error

from castlist.contract.bounds import MOST_SHIFT, MOST_STRETCHES
from castlist.contract.values import Hole, Stretch
from castlist_vision.frames.geometry import Geometry
from castlist_vision.reading.cut_points import after_end, before_picture, next_movie
from castlist_vision.reading.encryption import is_encrypted, looks_encrypted
from castlist_vision.reading.media import Media, first_choice, media_of, opened, video_streams
from castlist_vision.reading.media_errors import EncryptedVideoError, LimitsExceededError, MediaError
from castlist_vision.reading.picture_track import PictureTrack, chained
from castlist_vision.reading.timeline import Timeline

MOST_TRACKS = 16
# GIF marks every picture as a keyframe, but each builds on the one before.
_ONE_KEYFRAME = {"gif"}
# Containers whose packets follow each other with little between them: more than this was passed over by the demuxer.
_DENSE = {"matroska", "flv"}
_PASSED_OVER = 1024
_TRUNCATED_BY = 1.0
# What may lie behind the last picture of a transport stream without pictures under another number being looked for.
_TAIL = 256 << 10


@dataclass(slots=True)
class FileContent:
    """What the packets of a file tell. Times are seconds of the video."""

    stretches: list[Stretch] = field(default_factory=list)
    keyframes: list[float] = field(default_factory=list)
    gaps: list[Hole] = field(default_factory=list)
    damage: list[Hole] = field(default_factory=list)
    joints: list[Hole] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    duration: float = 0.0
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the container says of the first track that is read."""

    container: str
    codec: str
    start_time: float
    frame_rate: float
    geometry: Geometry
    interlaced: bool
    first_track: int
    """the one that a player starts with"""


@dataclass(frozen=True, slots=True)
class _Opening:
    """Where the file is opened, and where its first packet lies that has not been read before."""

    position: int
    packet: int


def read_packets(path: Path, most_pixels: int, most_packets: int) -> tuple[FileContent, Facts | None]:
    """Read `path`; no facts: not one picture can be decoded. Raises a MediaError where it is no video, or too much.

    `most_pixels` bounds a (coded) picture, `most_packets` what is read of all tracks together.
    """
    reader = _Reader(path, most_pixels, most_packets)
    following: _Opening | None = _Opening(0, 0)
    while following is not None:
        following = reader.read(following)
    return reader.content, reader.facts


class _Reader:
    def __init__(self, path: Path, most_pixels: int, most_packets: int) -> None:
        self.content = FileContent()
        self.facts: Facts | None = None
        self._path, self._most_pixels, self._most_packets = path, most_pixels, most_packets
        self._size = path.stat().st_size
        self._number = 0
        self._timeline: Timeline | None = None
        """of the track that is read, through all openings"""

    def read(self, opening: _Opening) -> _Opening | None:
        """Read the file from there; where it is to be opened again, if it is."""
        first = self._timeline is None
        end = next_movie(self._path, opening.position)
        try:
            with opened(self._path, opening.position, end) as container:
                first_choice(container)
                if first and looks_encrypted(self._path, container.format.name):
                    raise EncryptedVideoError("the pictures of this video are encrypted")
                return self._read(container, opening, end)
        except (LimitsExceededError, EncryptedVideoError):
            raise
        except MediaError:
            if first:
                raise
            # What looked like another file is none.
            self.content.damage.append(Hole(self.content.duration, self.content.duration))
            return None

    def _read(self, container: Any, opening: _Opening, end: int | None) -> _Opening | None:
        tracks = self._tracks(container)
        media = next(iter(tracks.values())).media
        dense, unstamped, start, covered = media.name in _DENSE, media.unstamped, media.start_time, 0
        other = _Others()
        joint: _Opening | None = None
        try:
            for packet in media.packets():
                track = tracks.get(packet.stream_index)
                if packet.size == 0:  # the end of a stream
                    track = tracks.get(packet.stream.index)
                    if track is not None and track.picture is None:
                        track.picture = _decoded(packet)
                    continue
                self._number += 1
                if self._number > self._most_packets:
                    raise LimitsExceededError(f"more than {self._most_packets} packets")
                place = None if packet.pos is None else packet.pos + opening.position
                if place is not None:
                    if dense and covered and place - covered > _PASSED_OVER:
                        for one in tracks.values():
                            one.damaged_since = one.timeline.end
                    covered = max(covered, place + packet.size)
                if track is not None:
                    if not track.packets and (place or 0) < opening.packet:
                        track.skipped += 1
                        continue
                    track.packets += 1
                ticks = packet.dts if unstamped or packet.pts is None else packet.pts
                base = packet.time_base
                if ticks is None and track is not None and not track.clocks:
                    # A video of one picture may come without any time.
                    ticks = round(track.timeline.shift * base.denominator / base.numerator)
                if ticks is None or packet.is_discard:
                    continue
                stamp = ticks * base.numerator / base.denominator
                length = (packet.duration or 0) * base.numerator / base.denominator
                other.longest = max(other.longest, length)
                if track is None:
                    other.end = max(other.end, stamp - start + length)
                    continue
                timeline, keyframe = track.timeline, packet.is_keyframe
                decoded = None if packet.dts is None else packet.dts * base.numerator / base.denominator
                is_joint = timeline.is_joint(stamp, decoded, keyframe)
                if is_joint and (joint := self._cut(media.name, track, opening, place)) is not None:
                    break
                time = timeline.place(stamp, length, is_joint)
                if is_joint or not track.clocks:
                    track.set_clock(time, self._number, place, is_joint)
                track.last_place = track.last_place if place is None else place
                if track.damaged_since is not None:
                    track.damage.append(Hole(track.damaged_since, time))
                    track.damaged_since = None
                if keyframe and is_encrypted(packet):
                    raise EncryptedVideoError("the pictures of this video are encrypted")
                if keyframe and not (track.keyframes and track.media.stream.codec_context.name in _ONE_KEYFRAME):
                    track.keyframes.append(time)
                if track.picture is None:
                    track.picture = _decoded(packet)
        except av.error.FFmpegError:
            other.broken = True
        if joint is None and end is not None:
            joint = _Opening(end, end)
        return self._finished(container, opening, tracks, joint, other, covered)

    def _tracks(self, container: Any) -> dict[int, PictureTrack]:
        """The tracks that may be read, the first choice first."""
        streams = [one for one in video_streams(container) if one.codec_context is not None][:MOST_TRACKS]
        if (pixels := _pixels(streams[0].codec_context)) > self._most_pixels:
            raise LimitsExceededError(f"{pixels} pixels are more than {self._most_pixels}")
        start = (container.start_time or 0) / av.time_base
        tracks: dict[int, PictureTrack] = {}
        for stream in streams:
            if _pixels(stream.codec_context) > self._most_pixels:
                continue
            media = media_of(container, stream, start)
            timeline = copy(self._timeline) if self._timeline is not None else _new_timeline(container, media)
            timeline.gaps = []
            tracks[stream.index] = PictureTrack(media, timeline)
        return tracks

    def _cut(self, name: str, track: PictureTrack, opening: _Opening, place: int | None) -> _Opening | None:
        """Where to open the file again for the packet at byte `place`, which another clock begins with."""
        if place is None or place <= opening.packet:
            return None
        after = opening.position if track.last_place is None else track.last_place
        position = before_picture(self._path, name, after, place)
        return None if position is None else _Opening(position, place)

    def _finished(
        self,
        container: Any,
        opening: _Opening,
        tracks: dict[int, PictureTrack],
        joint: _Opening | None,
        other: "_Others",
        covered: int,
    ) -> _Opening | None:
        present = [one for one in tracks.values() if one.clocks]
        if not present:
            return joint
        name = present[0].media.name
        read = chain = chained(present, name)
        if name == "mpegts" and len(chain) > 1:
            place = chain[1].first_place
            joint = self._cut(name, chain[0], opening, place) or joint
            chain = chain[:1]
        following = joint or self._behind(name, opening, chain, covered)
        self._take(opening, chain, following, name)
        self._name_unread(container, tracks, read)
        self._note_facts(container, chain)
        self._note_duration(chain, following, other)
        if any(abs(stretch.shift) > MOST_SHIFT for stretch in self.content.stretches):
            raise LimitsExceededError("a clock that is further off than any file's")
        if len(self.content.stretches) > MOST_STRETCHES:
            raise LimitsExceededError(f"more than {MOST_STRETCHES} videos were joined in this file")
        return following

    def _behind(self, name: str, opening: _Opening, chain: list[PictureTrack], covered: int) -> _Opening | None:
        """Where the file goes on behind the last picture that its container leads to."""
        if name == "mpegts":
            end = max((one.last_place or 0 for one in chain), default=0)
            position = after_end(self._path, name, end + 1) if self._size - end > _TAIL else None
        else:
            position = after_end(self._path, name, covered)
        return None if position is None or position <= opening.packet else _Opening(position, position)

    def _take(self, opening: _Opening, chain: list[PictureTrack], following: _Opening | None, name: str) -> None:
        end = None
        if following is not None:
            # Packets of several streams are mixed in a transport stream: what comes with the last picture is kept.
            end = max(following.packet, *(one.last_place or 0 for one in chain)) if name == "mpegts" else None
            end = following.position if end is None else end
        content = self.content
        for track in chain:
            track.timeline.close()
            counted = len(track.clocks) > 1
            ends = [*(clock.packet for clock in track.clocks[1:]), track.skipped + track.packets]
            content.stretches += [
                Stretch(
                    position=opening.position,
                    end=end,
                    track=track.media.stream.index,
                    skip=clock.packet,
                    packets=last - clock.packet if counted else None,
                    start=clock.time,
                    shift=clock.shift,
                )
                for clock, last in zip(track.clocks, ends, strict=True)
            ]
            content.keyframes += track.keyframes
            content.joints += track.joints
            content.gaps += track.timeline.gaps
            content.damage += track.damage
            self._timeline = track.timeline

    def _name_unread(self, container: Any, tracks: dict[int, PictureTrack], read: list[PictureTrack]) -> None:
        for stream in video_streams(container):
            track = tracks.get(stream.index)
            if track in read or (track is not None and not track.packets):
                continue
            context = stream.codec_context
            kind = "unknown" if context is None else f"{context.name}, {context.width}x{context.height}"
            name = f"{stream.index} ({kind})"
            if name not in self.content.unread and len(self.content.unread) < MOST_TRACKS:
                self.content.unread.append(name)

    def _note_facts(self, container: Any, chain: list[PictureTrack]) -> None:
        for track in chain:
            picture, stream = track.picture, track.media.stream
            if self.facts is not None or picture is None:
                continue
            if picture.width * picture.height > self._most_pixels:
                raise LimitsExceededError(f"{picture.width}x{picture.height} pixels are more than {self._most_pixels}")
            self.facts = Facts(
                container=container.format.name,
                codec=stream.codec_context.name,
                start_time=track.media.start_time,
                frame_rate=track.media.frame_rate,
                geometry=Geometry.of(picture, stream),
                interlaced=bool(picture.interlaced_frame),
                first_track=first_choice(container).index,
            )

    def _note_duration(self, chain: list[PictureTrack], following: _Opening | None, other: "_Others") -> None:
        content, end = self.content, chain[-1].timeline.end
        if following is not None or content.joints or len(content.stretches) > len(chain):
            content.duration, content.truncated = end, other.broken
            return
        media, read = chain[0].media, max(other.end, end)
        promised = media.duration
        if abs(promised - media.start_time - read) < abs(promised - read):
            promised -= media.start_time  # some containers count their length from zero, wherever they begin
        content.truncated = other.broken or promised - read > max(_TRUNCATED_BY, other.longest)
        content.duration = read if content.truncated or not promised else max(promised, end)


@dataclass(slots=True)
class _Others:
    """Of one opening: when the other streams end, the longest packet, whether reading came to an error."""

    end: float = 0.0
    longest: float = 0.0
    broken: bool = False


def _new_timeline(container: Any, media: Media) -> Timeline:
    rate = media.stream.average_rate or media.stream.guessed_rate
    frame = 1 / float(rate) if rate else 0.0
    # FFmpeg takes its length from the last timestamps.
    measured = container.format.flags & av.format.Flags.ts_discont.value
    promised = None if measured or not container.duration else container.duration / av.time_base
    if media.bare:
        start: float | None = 0.0  # the first keyframe may be shown behind pictures that follow it
    else:
        start = None if container.start_time is None else container.start_time / av.time_base
    return Timeline(start, frame, promised)


def _pixels(context: Any) -> int:
    return int(context.width * context.height)


def _decoded(packet: Any) -> Any:
    try:
        frames = packet.decode()
    except av.error.FFmpegError:
        return None
    return frames[0] if frames else None
