"""EDL (CMX 3600): markers on a video's timeline, or the stretches of several videos one after the other."""

from collections.abc import Iterable
from typing import NamedTuple

from query_api.http.timecode import FrameClock

_COLOURS = ("Blue", "Cyan", "Green", "Yellow", "Red", "Pink", "Purple", "Fuchsia", "Rose", "Lavender", "Sky", "Mint")
_REEL = "AX"
"""What a source without a tape is called."""


class Marker(NamedTuple):
    """Somebody on screen from `start` to `end`, in seconds; the same `person`, the same colour."""

    start: float
    end: float
    text: str
    person: str


class Stretch(NamedTuple):
    """Part of a video, in seconds."""

    video: str
    start: float
    end: float
    text: str


def marker_edl(title: str, markers: Iterable[Marker], clock: FrameClock, begin: int) -> str:
    """Markers as DaVinci Resolve reads them; `begin` is the frame at which its timeline begins."""
    ordered = sorted(markers)
    colours = {person: _COLOURS[n % len(_COLOURS)] for n, person in enumerate(_first_first(ordered))}
    lines = _head(title)
    for number, one in enumerate(ordered, 1):
        first = begin + clock.frames(one.start)
        length = max(1, clock.frames(one.end) - clock.frames(one.start))
        at = f"{clock.timecode(first)} {clock.timecode(first + 1)}"
        lines += [
            f"{number:03}  001      V     C        {at} {at}",
            f" |C:ResolveColor{colours[one.person]} |M:{_plain(one.text)} |D:{length}",
            "",
        ]
    return "\r\n".join(lines)


def stretches_edl(title: str, stretches: Iterable[Stretch], clock: FrameClock, begin: int) -> str:
    """All stretches in their order, cut together; `begin` is the frame at which they begin."""
    lines, place = _head(title), begin
    for number, one in enumerate(stretches, 1):
        first = clock.frames(one.start)
        length = max(1, clock.frames(one.end) - first)
        times = (first, first + length, place, place + length)
        lines += [
            f"{number:03}  {_REEL:<8} V     C        {' '.join(map(clock.timecode, times))}",
            f"* FROM CLIP NAME: {_plain(one.video)}",
            f"* COMMENT: {_plain(one.text)}",
            "",
        ]
        place += length
    return "\r\n".join(lines)


def _head(title: str) -> list[str]:
    return [f"TITLE: {_plain(title)}", "FCM: NON-DROP FRAME", ""]


def _first_first(markers: Iterable[Marker]) -> list[str]:
    return list(dict.fromkeys(one.person for one in markers))


def _plain(text: str) -> str:
    """On one line, and without what separates fields."""
    return " ".join(text.replace("|", "/").split())
