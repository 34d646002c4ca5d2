"""Whose turn it is: galleries that something waits for get a batch each, round and round.

A message in `gallery.commits` is a doorbell and no more: what waits is in `pending`, and is found there too where the
doorbell was lost.
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
    """`commit` takes a gallery's next batch and says whether there was one."""

    def __init__(self, commit: Callable[[str], Awaitable[bool]]) -> None:
        self._commit = commit
        self._waiting: dict[str, None] = {}
        self._rung = asyncio.Event()

    def ring(self, gallery: str) -> None:
        """Something waits for the gallery: it comes behind those that were here before."""
        self._waiting.setdefault(gallery)
        self._rung.set()

    async def run(self) -> None:
        """Take turns for ever; outages are waited out."""
        await every(_PAUSE, self._rounds, "commits")

    async def _rounds(self) -> bool:
        await self._rung.wait()
        self._rung.clear()
        while await self.round():
            pass
        return True

    async def round(self) -> bool:
        """A batch for each gallery that waits now; False if none waits any more. UnavailableError if a server is away.

        A gallery whose batch goes wrong is left to its next doorbell: that is no reason to leave the others.
        """
        for gallery in list(self._waiting):
            del self._waiting[gallery]  # who rings during the commit rings for another one
            try:
                more = await self._commit(gallery)
            except UnavailableError:
                self.ring(gallery)
                raise
            except Exception:
                log.exception("turn_failed", extra={"gallery": gallery})
            else:
                if more:
                    self.ring(gallery)
        return bool(self._waiting)
