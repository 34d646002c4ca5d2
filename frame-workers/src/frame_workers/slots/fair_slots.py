"""Permits for slots, given in the order of the fair queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from castlist.messaging.fair_queue import FairQueue, Turn

LONG = 2.0
"""Seconds after which a gallery that has nothing at work need not wait for a job of another to end."""


class FairSlots:
    """`size` permits: a gallery's many videos, or a video's many chunks, hold up nobody else's.

    One more is lent to who has none, where all are held and one for longer than `long` seconds: the cores are shared
    then, but jobs that last hold up nobody.
    """

    def __init__(self, size: int, long: float = LONG) -> None:
        self._size, self._long = size, long
        self._queue = FairQueue[asyncio.Future[None]]()
        self._held: dict[asyncio.Future[None], float] = {}

    @asynccontextmanager
    async def take(self, turn: Turn) -> AsyncIterator[None]:
        """Hold one permit while inside."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(turn, granted)
        self._serve()
        try:
            await granted
        except asyncio.CancelledError:
            if granted in self._held:
                self._give_back(turn, granted)
            else:
                self._queue.discard(turn, granted)
            raise
        looking = asyncio.get_running_loop().call_later(self._long, self._serve)
        try:
            yield
        finally:
            looking.cancel()
            self._give_back(turn, granted)

    def _give_back(self, turn: Turn, granted: asyncio.Future[None]) -> None:
        self._queue.done(turn)
        del self._held[granted]
        self._serve()

    def _serve(self) -> None:
        now = asyncio.get_running_loop().time()
        while len(self._held) <= self._size:
            all_held = len(self._held) == self._size
            if all_held and now - min(self._held.values()) < self._long:
                return
            if (served := self._queue.take(new=all_held)) is None:
                return
            turn, granted = served
            if granted.done():  # cancelled in this very moment: it takes nothing
                self._queue.done(turn)
                continue
            self._held[granted] = now
            granted.set_result(None)
