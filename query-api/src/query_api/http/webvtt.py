"""WebVTT: lines of text at times of a video, for a player to show."""

from collections.abc import Iterable
from typing import NamedTuple

_SHORTEST = 1
"""Milliseconds: a cue must end after it begins."""
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Cue(NamedTuple):
    """What is shown from `start` to `end`, in seconds. `id` has no `-->` and no line break in it."""

    start: float
    end: float
    id: str
    text: str


def webvtt(cues: Iterable[Cue]) -> str:
    """The file, its cues in the order of time. What lies before the video's start is cut off."""
    return "\n".join(["WEBVTT\n", *(_block(cue) for cue in sorted(cues) if cue.end >= 0)])


def _block(cue: Cue) -> str:
    start = max(0, round(cue.start * 1000))
    end = max(start + _SHORTEST, round(cue.end * 1000))
    text = " ".join(cue.text.split()).translate(_ESCAPED)
    return f"{cue.id}\n{_clock(start)} --> {_clock(end)}\n{text}\n"


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
