"""When pictures are shown that only have times of decoding."""

from collections import deque
from typing import Any

_MOST = 64


class DecodingTimes:
    """The decoding times of what goes into a decoder, in ticks, given to what comes out of it, in order.

    A picture comes out when its successor in decoding order, `reorder_depth` later, went in. Where times are `measured`
    and not counted, that is also when it is shown: it is decoded just in time.
    """

    def __init__(self, context: Any, measured: bool) -> None:
        self._context, self._measured = context, measured
        self._times: deque[int] = deque(maxlen=_MOST)
        self._drained = 0

    def put_in(self, time: int | None) -> None:
        """A packet goes in; without a time it follows the one before."""
        if time is None:
            time = self._times[-1] + 1 if self._times else 0
        self._times.append(time)

    def take_back(self, over: bool) -> None:
        """The packet that went in cannot be decoded."""
        if self._times and not over:
            self._times.pop()

    def of_next(self, over: bool) -> int | None:
        """The time of the picture that came out; `over`: nothing more goes in."""
        self._drained += over
        if not self._times:
            return None
        if self._measured:
            step = self._times[-1] - self._times[-2] if len(self._times) > 1 else 0
            return self._times[-1] + step * self._drained
        behind = min(max(0, self._context.reorder_depth - self._drained), len(self._times) - 1)
        return self._times[-1 - behind]
