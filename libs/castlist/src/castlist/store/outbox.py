"""The outbox: events are written in the transaction that makes them true, and published after it.

Whoever committed publishes; what a crash or an absent Kafka left, a sweep does.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from castlist.contract.codec import encode
from castlist.contract.events import Event
from castlist.contract.topics import topic_of
from castlist.ports.documents import Document, Documents
from castlist.ports.messages import Publisher
from castlist.store.collections import OUTBOX

SWEEP_AFTER = timedelta(seconds=2)


LAST = 1_000_000
"""The place of events without one of their own in their transaction: behind all that have one."""


def entry(event: Event, now: datetime, order: int = LAST) -> Document:
    """The outbox's document for `event`; `order` sorts those of one transaction."""
    topic = topic_of(event)
    return {
        "_id": event.event_id,
        "topic": topic.name,
        "key": topic.key(event),
        "value": encode(event).decode(),
        "created_at": now,
        "order": order,
        "published_at": None,
    }


async def add(documents: Documents, event: Event, now: datetime) -> Document:
    """Write `event` into the outbox; the one that is there already stays. Returns the entry that stands."""
    document = entry(event, now)
    stands = await documents.update(
        OUTBOX, {"_id": event.event_id}, {"$setOnInsert": _without_id(document)}, upsert=True
    )
    return stands or document


def _without_id(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "_id"}


async def publish(documents: Documents, publisher: Publisher, entries: Sequence[Document], now: datetime) -> None:
    """Publish and mark. A crash in between publishes again, under the same event_id."""
    if entries:
        await publisher.publish_entries([(one["topic"], one["key"].encode(), one["value"].encode()) for one in entries])
        await documents.update_many(
            OUTBOX, {"_id": {"$in": [one["_id"] for one in entries]}}, {"$set": {"published_at": now}}
        )


async def sweep(documents: Documents, publisher: Publisher, now: datetime, topics: Sequence[str]) -> int:
    """Publish what a crash or an absent Kafka left, oldest first; returns how many there were."""
    where = {"published_at": None, "created_at": {"$lt": now - SWEEP_AFTER}, "topic": {"$in": list(topics)}}
    left = await documents.find(OUTBOX, where, sort=[("created_at", 1), ("order", 1)], limit=200)
    await publish(documents, publisher, left, now)
    return len(left)
