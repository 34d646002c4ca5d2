"""Publishing what the transactions put into the outbox: at once while Kafka is there, else when it is back.

Every process that writes into the outbox has a relay for the topics it writes to. Two may publish one entry: each event
has a derived id, and consumers drop what they have seen.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from castlist.contract.topics import Topic
from castlist.ports.errors import MessageTooLargeError
from castlist.ports.messages import Message, Publisher
from castlist.service.metrics import DEAD_LETTERS, OUTBOX_SWEPT
from castlist.service.periodic import every
from castlist.store.query import ascending, below, eq, one_of, set_to, with_ids
from castlist.store.records.outbox import OutboxRecord
from castlist.store.store import Store

LEFT_BEHIND = timedelta(seconds=2)
"""After so long no other process is about to publish an entry."""
_ROUND = 1.0
_BATCH = 200
_NOWHERE = -1
"""The partition and offset of what never got into the log."""


class OutboxRelay:
    """One loop publishes, so that no answer waits for Kafka and no request piles up behind its absence."""

    def __init__(
        self, store: Store, publisher: Publisher, clock: Callable[[], datetime], topics: Sequence[Topic]
    ) -> None:
        self._store, self._publisher, self._clock = store, publisher, clock
        self._topics = [topic.name for topic in topics]
        self._written = asyncio.Event()

    def wake(self) -> None:
        """Something was written into the outbox. A hint: without it, it is found a little later."""
        self._written.set()

    async def run(self) -> None:
        """Publish for ever; outages are waited out."""
        await every(0.0, self._round, "outbox_relay")

    async def _round(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ROUND):
                await self._written.wait()
        told = self._written.is_set()
        self._written.clear()
        try:
            await self.sweep(timedelta(0) if told else LEFT_BEHIND)
        except Exception:
            if told:
                self._written.set()
            await asyncio.sleep(_ROUND)
            raise
        return True

    async def sweep(self, age: timedelta = LEFT_BEHIND) -> int:
        """Publish what is left and at least so old, oldest first; how many entries there were.

        Always in that order: of two names given to a profile the later one is to stay, also when Kafka was away in
        between.
        """
        where = eq(OutboxRecord.published_at, None) & one_of(OutboxRecord.topic, self._topics)
        if age:
            where &= below(OutboxRecord.created_at, self._clock() - age)
        order = [ascending(OutboxRecord.created_at), ascending(OutboxRecord.order)]
        swept = 0
        while left := await self._store.outbox.find(where, sort=order, limit=_BATCH):
            await self.publish(left)
            swept += len(left)
            if len(left) < _BATCH:
                break
        if age:
            OUTBOX_SWEPT.inc(swept)
        return swept

    async def publish(self, entries: Sequence[OutboxRecord]) -> None:
        """Publish and mark. A crash in between publishes again, under the same event_id."""
        if entries:
            await publish_or_bury(
                self._publisher, [(one.topic, one.key.encode(), one.value.encode()) for one in entries]
            )
            published = set_to(OutboxRecord.published_at, self._clock())
            await self._store.outbox.update_many(with_ids(one.id for one in entries), published)


async def publish_or_bury(publisher: Publisher, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
    """Publish (topic, key, value) each, in order. What Kafka does not take, now or later, becomes a dead letter with
    the reason: it would hold up all that is behind it for ever."""
    try:
        await publisher.publish_entries(entries)
    except MessageTooLargeError:
        for topic, key, value in entries:
            try:
                await publisher.publish_entries([(topic, key, value)])
            except MessageTooLargeError as error:
                message = Message(topic, _NOWHERE, _NOWHERE, key, value)
                await publisher.publish_dead_letter(message, f"It cannot be published: {error}")
                DEAD_LETTERS.labels(topic).inc()
