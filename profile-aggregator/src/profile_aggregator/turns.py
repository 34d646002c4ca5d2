"""Whose turn it is: galleries that a commit waits for, or long videos, get one piece of work each, round and round.

Whatever rings is a doorbell and no more: what waits is in MongoDB, and is found there too where the doorbell was lost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from castlist.ports.errors import UnavailableError
from castlist.service.periodic import every

log = logging.getLogger(__name__)
_PAUSE = 1.0
"""After an outage, in seconds."""


class Turns:
    """`take` does the next piece of what waits for a gallery (or video), and says whether there may be more."""

    def __init__(self, take: Callable[[str], Awaitable[bool]], name: str = "commits") -> None:
        self._take, self._name = take, name
        self._waiting: dict[str, None] = {}
        self._rung = asyncio.Event()

    def ring(self, key: str) -> None:
        """Something waits for it: it comes behind those that were here before."""
        self._waiting.setdefault(key)
        self._rung.set()

    async def run(self) -> None:
        """Take turns for ever; outages are waited out."""
        await every(_PAUSE, self._rounds, self._name)

    async def _rounds(self) -> bool:
        await self._rung.wait()
        self._rung.clear()
        while await self.round():
            pass
        return True

    async def round(self) -> bool:
        """A turn for each that waits now; False if none waits any more. UnavailableError if a server is away.

        One whose turn goes wrong is left to its next doorbell: that is no reason to leave the others.
        """
        for key in list(self._waiting):
            del self._waiting[key]  # who rings during the turn rings for another one
            try:
                more = await self._take(key)
            except UnavailableError:
                self.ring(key)
                raise
            except Exception:
                log.exception("turn_failed", extra={"of": key})
            else:
                if more:
                    self.ring(key)
        return bool(self._waiting)
