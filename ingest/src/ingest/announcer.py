"""Publishing what the transactions put into the outbox: at once while Kafka is there, else when it is back."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime

from castlist.contract.topics import VIDEO_CONTROL, VIDEO_UPLOADED
from castlist.ports.documents import Documents
from castlist.ports.errors import Unavailable
from castlist.ports.messages import Publisher
from castlist.service.metrics import OUTBOX_SWEPT
from castlist.store import outbox
from castlist.store.collections import OUTBOX

log = logging.getLogger(__name__)
OURS = (VIDEO_UPLOADED.name, VIDEO_CONTROL.name)
SWEEP_EVERY = 1.0
_BACKLOG = 1000


class Announcer:
    """One loop publishes, so that no answer waits for Kafka and no request piles up behind its absence."""

    def __init__(self, documents: Documents, publisher: Publisher, clock: Callable[[], datetime]) -> None:
        self._documents, self._publisher, self._clock = documents, publisher, clock
        self._told: asyncio.Queue[str] = asyncio.Queue(_BACKLOG)

    def tell(self, event_id: str) -> None:
        """The outbox has this event now. A hint: what is lost of them, the sweep finds."""
        with contextlib.suppress(asyncio.QueueFull):
            self._told.put_nowait(event_id)

    async def run(self) -> None:
        """Publish for ever; outages are waited out."""
        swept = 0.0
        while True:
            try:
                await self._publish(await self._next())
                if time.monotonic() - swept >= SWEEP_EVERY:
                    OUTBOX_SWEPT.inc(await outbox.sweep(self._documents, self._publisher, self._clock(), OURS))
                    swept = time.monotonic()
            except Unavailable as error:
                log.warning("cannot publish now", extra={"reason": str(error)[:200]})
                await asyncio.sleep(SWEEP_EVERY)
            except Exception:
                log.exception("cannot publish")
                await asyncio.sleep(SWEEP_EVERY)

    async def _next(self) -> list[str]:
        told: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SWEEP_EVERY):
                told.append(await self._told.get())
        while not self._told.empty():
            told.append(self._told.get_nowait())
        return told

    async def _publish(self, told: list[str]) -> None:
        if told:
            entries = await self._documents.find(OUTBOX, {"_id": {"$in": told}, "published_at": None})
            await outbox.publish(self._documents, self._publisher, entries, self._clock())
