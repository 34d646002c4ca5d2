"""Timecode: seconds of a video as frames, and frames as editors write them."""

import re
from dataclasses import dataclass

from castlist.contract.bounds import LAST_SECOND

USUAL_RATE = 25.0
"""Frames a second of a video whose own are not known."""
_FASTEST = 240.0
_TIMECODE = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]):([0-9]{2})")
TIMECODE = f"^{_TIMECODE.pattern}$"


@dataclass(frozen=True)
class FrameClock:
    """Frames at so many a second. Timecode counts them to the next whole number, and drops none: at 29.97 it says 30 a
    second, and is as far behind as the film is slower."""

    rate: float

    @classmethod
    def of(cls, rate: float | None) -> "FrameClock":
        """That of a video by its frame rate, where that is known and is one."""
        return cls(rate if rate and 1 <= rate <= _FASTEST else USUAL_RATE)

    @property
    def base(self) -> int:
        """Frames that one second of timecode counts."""
        return max(1, round(self.rate))

    def frames(self, seconds: float) -> int:
        """The frame that is shown then; nothing before the start."""
        return round(max(0.0, min(seconds, LAST_SECOND)) * self.rate)

    def timecode(self, frames: int) -> str:
        """`HH:MM:SS:FF`; behind 24 hours it begins anew."""
        seconds, rest = divmod(frames, self.base)
        return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{rest:02}"

    def counted(self, timecode: str) -> int:
        """The frames of a timecode. ValueError where it is none at this rate."""
        if (match := _TIMECODE.fullmatch(timecode)) is None or int(match[4]) >= self.base:
            raise ValueError(f"{timecode!r} is no timecode at {self.base} frames a second")
        hours, minutes, seconds, frames = map(int, match.groups())
        return ((hours * 60 + minutes) * 60 + seconds) * self.base + frames
