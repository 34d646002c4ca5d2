"""The outbox: events are written in the transaction that makes them true, and published after it.

`castlist.messaging.outbox_relay` publishes them.
"""

from datetime import datetime

from castlist.contract.bounds import LARGEST_EVENT
from castlist.contract.codec import encode
from castlist.contract.events import Event
from castlist.contract.topics import topic_of
from castlist.ports.errors import MessageTooLargeError
from castlist.store.query import insert_as
from castlist.store.records.outbox import OutboxRecord
from castlist.store.store import Store

LAST = 1_000_000
"""The place of events without one of their own in their transaction: behind all that have one."""


def entry(event: Event, now: datetime, order: int = LAST) -> OutboxRecord:
    """The outbox's record for `event`; `order` sorts those of one transaction.

    MessageTooLargeError for an event that Kafka would not take: what it would make true is not to be written then.
    """
    topic, value = topic_of(event), encode(event)
    if len(value) > LARGEST_EVENT:
        raise MessageTooLargeError(f"{event.event} {event.event_id}: {len(value)} bytes")
    return OutboxRecord(
        id=event.event_id,
        topic=topic.name,
        key=topic.key(event),
        value=value.decode(),
        created_at=now,
        order=order,
    )


async def add(store: Store, event: Event, now: datetime) -> OutboxRecord:
    """Write `event` into the outbox; the one that is there already stays. Returns the entry that stands."""
    return await store.outbox.upsert(event.event_id, insert_as(entry(event, now)))
