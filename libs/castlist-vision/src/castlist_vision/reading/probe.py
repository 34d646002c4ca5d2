"""Look at a video without decoding it: how long, how large, which way up, and where it can be cut."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from castlist.contract.values import Hole, Stretch, VideoWarning
from castlist.contract.video_warnings import summed_up, warning
from castlist_vision.reading.media import MOST_PIXELS
from castlist_vision.reading.media_errors import LimitsExceededError, UndecodableVideoError
from castlist_vision.reading.packet_reading import Facts, FileContent, read_packets
from castlist_vision.reading.sample_tables import claimed_pictures


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still worked through, whatever a file claims of itself.

    `seconds` bounds the plan, `pixels` (coded) the memory of one frame, `pictures` that of an index, `packets` the time
    to read them: a day of 120 pictures and four tracks of sound a second.
    """

    seconds: float = 24 * 3600.0
    pixels: int = MOST_PIXELS
    pictures: int = 24 * 3600 * 120
    packets: int = 24 * 3600 * 320


@dataclass(frozen=True, slots=True)
class Probe:
    """What the plan and the video's record need. Times are seconds of the video.

    `width` and `height` are those of the upright frame in square pixels; `rotation` is how many degrees the coded
    picture is turned clockwise to get there, `sample_aspect` how much wider than high a coded pixel is shown.
    `stretches` are how to read it where it is more than one track on one clock; `holes` where pictures are missing.
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
    stretches: tuple[Stretch, ...]
    holes: tuple[Hole, ...]
    warnings: tuple[VideoWarning, ...]

    @property
    def truncated(self) -> bool:
        """Packets end well before the container says that they do."""
        return any(one.code == "truncated" for one in self.warnings)


def probe(path: Path, limits: Limits = Limits()) -> Probe:
    """Read every packet of `path` and decode one picture; raises a MediaError that says why it cannot be used."""
    if (pictures := claimed_pictures(path)) > limits.pictures:
        raise LimitsExceededError(f"{pictures} pictures are more than {limits.pictures}")
    content, facts = read_packets(path, limits.pixels, limits.packets)
    if facts is None:
        raise UndecodableVideoError("not one picture of this video can be decoded")
    if content.duration > limits.seconds:
        raise LimitsExceededError(f"{content.duration:.0f} s are more than {limits.seconds:.0f}")
    return Probe(
        duration=content.duration,
        width=facts.geometry.width,
        height=facts.geometry.height,
        rotation=facts.geometry.rotation,
        sample_aspect=facts.geometry.sample_aspect,
        frame_rate=facts.frame_rate,
        keyframes=tuple(sorted(set(content.keyframes))),
        start_time=facts.start_time,
        interlaced=facts.interlaced,
        codec=facts.codec,
        container=facts.container,
        stretches=_to_tell(content, facts),
        holes=tuple(_apart([*content.gaps, *content.damage])),
        warnings=summed_up(_warnings(content)),
    )


def _to_tell(content: FileContent, facts: Facts) -> tuple[Stretch, ...]:
    """None where the file is read as it is opened."""
    plain = Stretch(
        position=0, end=None, track=facts.first_track, skip=0, packets=None,
        start=content.stretches[0].start, shift=facts.start_time,
    )  # fmt: skip
    return () if content.stretches == [plain] else tuple(content.stretches)


def _apart(holes: Iterable[Hole]) -> list[Hole]:
    """Those that meet as one, in the order of their times."""
    result: list[Hole] = []
    for hole in sorted(holes, key=lambda hole: hole.start):
        if result and hole.start <= result[-1].end:
            result[-1] = Hole(result[-1].start, max(result[-1].end, hole.end))
        else:
            result.append(hole)
    return result


def _warnings(content: FileContent) -> Iterable[VideoWarning]:
    if content.truncated:
        yield warning("truncated", content.duration)
    for joint in content.joints:
        yield warning("clock_restarted", joint.start, joint.end)
    for hole in content.damage:
        yield warning("damaged", hole.start, hole.end)
    damage = _apart(content.damage)
    for hole in content.gaps:
        before = bisect_left(damage, hole.end, key=lambda damaged: damaged.start)
        if not before or damage[before - 1].end <= hole.start:
            yield warning("gap", hole.start, hole.end)
    for name in content.unread:
        yield warning("track_not_read", message=f"Another track of pictures was not looked at: {name}.")
