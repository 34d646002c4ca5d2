"""What commits say, as a log: written in their transactions, published by one worker, a gallery's versions in order.

Two processes may publish the same versions: each does so in order, so that whatever version a reader sees for the first
time, it has seen the ones before.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from castlist.contract.codec import encode
from castlist.contract.events import Event
from castlist.contract.topics import PROFILE_EVENTS
from castlist.messaging.outbox_relay import publish_or_bury
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Publisher
from castlist.store.query import ascending, eq, set_to, with_ids
from castlist.store.records.outbox import GalleryLogRecord, LoggedGallery
from castlist.store.store import Store

log = logging.getLogger(__name__)
PUBLISH_EVERY = 1.0
_PART_BYTES = 1_000_000
_AT_ONCE = 16


def log_records(gallery: str, version: int, events: Iterable[Event], now: datetime) -> list[GalleryLogRecord]:
    """What the commit that makes `version` says, in documents of a bounded size."""
    parts: list[list[str]] = []
    room = 0
    for event in events:
        said = encode(event).decode()
        room -= len(said)
        if room < 0:
            parts.append([])
            room = _PART_BYTES - len(said)
        parts[-1].append(said)
    return [
        GalleryLogRecord(
            id=f"{gallery}:{version}:{part}", gallery=gallery, version=version, part=part, events=tuple(said), at=now
        )
        for part, said in enumerate(parts)
    ]


class GalleryLog:
    """The worker. One instance a process."""

    def __init__(self, store: Store, publisher: Publisher, clock: Callable[[], datetime]) -> None:
        self._store, self._publisher, self._clock = store, publisher, clock
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._running: dict[str, asyncio.Task[bool]] = {}

    def wake(self, gallery: str) -> None:
        """A commit was made: publish what it says, while the next one is worked out."""
        if (running := self._running.get(gallery)) is None or running.done():
            self._running[gallery] = asyncio.create_task(self._try_to_publish(gallery))

    async def caught_up(self, gallery: str) -> None:
        """Everything is published that was committed before this was asked, unless Kafka is away."""
        if (running := self._running.pop(gallery, None)) is not None and await running:
            await self._try_to_publish(gallery)

    async def round(self) -> None:
        """Publish what there is in any gallery; what fails in one holds up no other."""
        waiting = await self._store.gallery_log.find_parts(LoggedGallery, eq(GalleryLogRecord.published_at, None))
        for gallery in sorted({one.gallery for one in waiting}):
            await self._try_to_publish(gallery)

    async def _try_to_publish(self, gallery: str) -> bool:
        try:
            await self.publish(gallery)
            return True
        except UnavailableError as error:
            log.warning("publishing_postponed", extra={"gallery": gallery, "reason": str(error)[:200]})
        except Exception:
            log.exception("publishing_failed", extra={"gallery": gallery})
        return False

    async def publish(self, gallery: str) -> None:
        """Publish what the gallery has still to say, from the lowest version on. UnavailableError if Kafka is away."""
        unpublished = eq(GalleryLogRecord.gallery, gallery) & eq(GalleryLogRecord.published_at, None)
        order = [ascending(GalleryLogRecord.version), ascending(GalleryLogRecord.part)]
        async with self._locks[gallery]:
            while found := await self._store.gallery_log.find(unpublished, sort=order, limit=_AT_ONCE):
                await self._publish(gallery, found)

    async def _publish(self, gallery: str, records: Sequence[GalleryLogRecord]) -> None:
        key = gallery.encode()
        events = [(PROFILE_EVENTS.name, key, event.encode()) for one in records for event in one.events]
        await publish_or_bury(self._publisher, events)
        published = set_to(GalleryLogRecord.published_at, self._clock())
        await self._store.gallery_log.update_many(with_ids(one.id for one in records), published)
