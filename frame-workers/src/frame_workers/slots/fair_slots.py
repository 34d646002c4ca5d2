"""Who gets the next free slot: the video that has the fewest, so that a long video never holds up a short one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """`size` permits. Of the videos that wait, the one with the least at work is served; of those, the first come."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._at_work: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def take(self, video: str) -> AsyncIterator[None]:
        """Hold one permit while inside."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((video, granted))
        self._serve()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._give_back(video)
            else:
                self._waiting.remove((video, granted))
            raise
        try:
            yield
        finally:
            self._give_back(video)

    def _give_back(self, video: str) -> None:
        self._at_work[video] -= 1
        if not self._at_work[video]:
            del self._at_work[video]
        self._free += 1
        self._serve()

    def _serve(self) -> None:
        # One that was cancelled in this very moment is still in the queue: it takes nothing.
        while self._free and (waiting := [one for one in self._waiting if not one[1].done()]):
            chosen = min(waiting, key=lambda one: self._at_work[one[0]])
            self._waiting.remove(chosen)
            self._free -= 1
            self._at_work[chosen[0]] += 1
            chosen[1].set_result(None)
