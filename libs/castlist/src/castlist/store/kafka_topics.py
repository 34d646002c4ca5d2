"""What MongoDB remembers of Kafka's topics: whenever some had to be created, Kafka was new or had lost its data."""

from castlist.store.query import add, raise_to
from castlist.store.records.installation import TopicsRecord
from castlist.store.store import Store

_ID = "kafka"


async def known(store: Store) -> TopicsRecord:
    """How often that was, and up to which time it was made good."""
    return await store.topics.get(_ID) or TopicsRecord(id=_ID)


async def note_created(store: Store) -> None:
    """Topics had to be created."""
    await store.topics.upsert(_ID, add(TopicsRecord.created, 1))


async def note_made_good(store: Store, created: int) -> None:
    """What the topics held was announced again, up to the time they were created for the `created`-th time."""
    await store.topics.upsert(_ID, raise_to(TopicsRecord.made_good, created))
