"""One track of pictures, as its packets tell it, and which tracks of a file follow each other."""

from dataclasses import dataclass, field
from typing import Any

from castlist.contract.values import Hole
from castlist_vision.reading.media import Media
from castlist_vision.reading.timeline import Timeline

# A track with fewer pictures than this part of another's is a poster or slides beside the video.
_FEW = 0.1
_OVERLAP = 0.5


@dataclass(slots=True)
class Clock:
    """Where a track begins, or its clock was set: the number of the packet, its time, and the shift from there on."""

    packet: int
    time: float
    shift: float


@dataclass(slots=True)
class PictureTrack:
    """A track of pictures in one opening of the file. Places are bytes of the file; `first_number` counts packets."""

    media: Media
    timeline: Timeline
    skipped: int = 0
    packets: int = 0
    clocks: list[Clock] = field(default_factory=list)
    keyframes: list[float] = field(default_factory=list)
    joints: list[Hole] = field(default_factory=list)
    damage: list[Hole] = field(default_factory=list)
    damaged_since: float | None = None
    first_place: int | None = None
    last_place: int | None = None
    first_number: int = 0
    picture: Any = None

    def set_clock(self, time: float, number: int, place: int | None, joint: bool) -> None:
        """The packet at hand is the first of the track, or of another clock."""
        self.clocks.append(Clock(self.skipped + self.packets - 1, time, self.timeline.shift))
        if joint:
            self.joints.append(Hole(time, time))
        if not self.first_number:
            self.first_number, self.first_place = number, place


def chained(present: list[PictureTrack], name: str) -> list[PictureTrack]:
    """The track to read, and those that follow each other with it, in their order."""
    most = max(one.packets for one in present)
    full = [one for one in present if one.packets >= _FEW * most]
    chain = [min(full, key=lambda one: one.picture is None)]
    for one in full:
        if one not in chain and all(_follows(one, other, name) or _follows(other, one, name) for other in chain):
            chain.append(one)
    return sorted(chain, key=lambda one: one.first_number)


def _follows(track: PictureTrack, other: PictureTrack, name: str) -> bool:
    if name == "mpegts" and (track.first_place or 0) > (other.last_place or 0):
        return True
    return track.clocks[0].time >= other.timeline.end - _OVERLAP
