"""When what a file holds is shown: one clock for the whole of it, which never falls."""

from castlist.contract.values import Hole

LEAP = 10.0
"""Seconds that a clock may leap ahead and still be believed without another sign that nothing is shown meanwhile."""
GAP = 0.5
"""Seconds without a picture, from which on it is told, where pictures come more often than that."""
# A hole in the order of decoding may yet be filled: a picture is shown at most so many pictures after its turn.
_REORDERING = 16
_UNUSUAL = 3.0
_MATCHING = 0.9
_ROUNDING = 0.001


class Timeline:
    """The clock of one track: told its packets in the order of the file, it says when each is shown.

    `shift` is what is taken from a timestamp of the container to get there, in seconds. It changes where the clock of
    the file goes back, or leaps ahead beyond `promised`, the length that the container states (None: it does not): what
    follows begins one frame after what was shown before. `frame` is how long a frame is that does not say it.
    """

    def __init__(self, shift: float | None, frame: float, promised: float | None) -> None:
        self.shift = shift or 0.0
        self._begins_anywhere = shift is None
        self.gaps: list[Hole] = []
        self.packets = 0
        self.first = 0.0
        self.end = 0.0
        """when the last picture so far has been shown"""
        self.set_at = 0.0
        """when the clock was set the last time"""
        self.longest = 0.0
        """the longest step between two pictures that is not a gap"""
        self._frame = frame
        self._promised = promised
        self._latest = 0.0
        self._decoded: float | None = None
        self._before: float | None = None
        self._hole: Hole | None = None
        self._hole_open = 0

    def is_joint(self, stamp: float, decoded: float | None, keyframe: bool) -> bool:
        """Whether the clock is another one from this packet on, which says when to show it and when to decode it."""
        before, self._decoded = self._decoded, decoded
        if not self.packets:
            return False
        time = stamp - self.shift
        if keyframe:
            back = time < self._latest - _ROUNDING  # it is shown after all that was decoded before it
        else:
            back = time < self._latest - self._reordering()
            back &= before is None or decoded is None or decoded <= before
        if back:
            # A picture of the clock before may be decoded behind the first of the next one.
            late = not keyframe and self._before is not None
            return not (late and abs(stamp - self._before - self.set_at) < GAP)  # type: ignore[operator]
        ahead = time - self.end
        promised = self._promised is not None and time <= self._promised + GAP
        return ahead > max(LEAP, _UNUSUAL * self.longest) and not promised

    def place(self, stamp: float, length: float, joint: bool = False) -> float:
        """When the packet with this timestamp is shown; at a joint the clock is set first."""
        if joint:
            self.close()
            self.set_at = self.end = min(self.end, self._latest + LEAP)
            self._before, self.shift = self.shift, stamp - self.end
        elif not self.packets and (self._begins_anywhere or stamp - self.shift < -LEAP):
            self.shift = stamp
        time = stamp - self.shift
        if not self.packets:
            self.first = self._latest = self.end = time
        elif not joint and self._look_for_a_gap(time, length):
            length = 0.0
        self.packets += 1
        self._latest = max(self._latest, time)
        self.end = max(self.end, time + (length or self._frame))
        return time

    def close(self) -> None:
        """No more packets of this clock come: a hole that is still open is a gap."""
        if self._hole is not None:
            self.gaps.append(self._hole)
            self._hole = None

    def _look_for_a_gap(self, time: float, length: float) -> bool:
        """Whether `length` is that of a hole: containers tell it of the packet that is decoded then, not shown."""
        matches = False
        if self._hole is not None:
            if length >= _MATCHING * (self._hole.end - self._hole.start):
                self._hole, matches = None, True
            elif time < self._hole.end:
                start = self._hole.start
                self._hole = Hole(start, time) if self._is_gap(start, time) else None
            self._hole_open -= 1
            if self._hole_open <= 0:
                self.close()
        if self._is_gap(self.end, time):
            self.close()
            self._hole, self._hole_open = Hole(self.end, time), _REORDERING
        elif self._hole is None:
            self.longest = max(self.longest, time - self._latest)
        return matches

    def _is_gap(self, start: float, end: float) -> bool:
        return self.packets > 1 and end - start > max(GAP, _UNUSUAL * self.longest)

    def _reordering(self) -> float:
        step = (self._latest - self.first) / max(1, self.packets - 1)
        return max(GAP, _REORDERING * step)
