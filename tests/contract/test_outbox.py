"""The outbox, on both kinds of documents and logs: what was written into it is published, at least once, in order."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from castlist.contract.codec import encode
from castlist.contract.events import Event, ProfileCreated
from castlist.ports.documents import Document, Documents
from castlist.ports.errors import Unavailable
from castlist.ports.messages import Message, Publisher
from castlist.store import outbox
from castlist.store.collections import OUTBOX
from contract.conftest import Log
from testkit.examples import example

NOW = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=1)


def event(name: str) -> ProfileCreated:
    """An event with an id of its own."""
    made: ProfileCreated = example(ProfileCreated, event_id=name)
    return made


async def put(documents: Documents, topic: str, what: Event, at: datetime = LONG_AGO, order: int = 0) -> Document:
    """An entry for a topic of this test's own."""
    entry = outbox.entry(what, at, order) | {"topic": topic}
    await documents.insert(OUTBOX, entry)
    return entry


async def unpublished(documents: Documents) -> set[str]:
    """The ids of what waits."""
    return {entry["_id"] for entry in await documents.find(OUTBOX, {"published_at": None})}


class Dying(Publisher):
    """A publisher whose Kafka goes away after some messages."""

    def __init__(self, publisher: Publisher, messages: int) -> None:
        self._publisher, self._left = publisher, messages

    async def publish(self, *events: Event) -> None:
        raise NotImplementedError

    async def publish_entries(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
        await self._publisher.publish_entries(entries[: self._left])
        raise Unavailable("Kafka is away")

    async def publish_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        raise NotImplementedError

    async def bury(self, message: Message, reason: str) -> None:
        raise NotImplementedError

    async def ping(self) -> None:
        raise NotImplementedError


async def test_an_event_is_written_once(documents: Documents) -> None:
    """Adding it again, also at once, leaves the first entry as it stands and returns that."""
    first = await outbox.add(documents, event("a"), NOW)
    again = await asyncio.gather(*(outbox.add(documents, event("a"), NOW + timedelta(seconds=n)) for n in range(1, 5)))
    assert all(entry == first for entry in again)
    assert await documents.find(OUTBOX, {}) == [first]
    assert first["value"].encode() == encode(event("a"))
    assert (first["topic"], first["key"], first["published_at"]) == ("profile.events", "default", None)


async def test_an_event_that_was_published_is_not_revived(documents: Documents) -> None:
    """A redo that adds it again finds it published, and leaves it so."""
    entry = await outbox.add(documents, event("a"), LONG_AGO)
    await documents.update(OUTBOX, {"_id": entry["_id"]}, {"$set": {"published_at": NOW}})
    assert (await outbox.add(documents, event("a"), NOW))["published_at"] == NOW
    assert not await unpublished(documents)


async def test_publishing_writes_and_marks(documents: Documents, log: Log) -> None:
    """The messages lie in the topic under their key, in the order given, and the entries say when."""
    topic = log.topics[0].name
    entries = [await put(documents, topic, event(name)) for name in ("b", "a", "c")]
    await outbox.publish(documents, log.publisher, entries, NOW)
    messages = await log.read(topic)
    assert [message.value for message in messages] == [encode(event(name)) for name in ("b", "a", "c")]
    assert {message.key for message in messages} == {b"default"}
    assert {entry["published_at"] for entry in await documents.find(OUTBOX, {})} == {NOW}


async def test_a_sweep_publishes_what_was_left(documents: Documents, log: Log) -> None:
    """Oldest first and in order; not what is fresh, what is published, or what another service sweeps."""
    topic, other = log.topics[0].name, log.topics[1].name
    await put(documents, topic, event("third"), LONG_AGO, order=2)
    await put(documents, topic, event("second"), LONG_AGO, order=1)
    await put(documents, topic, event("first"), LONG_AGO - timedelta(seconds=1), order=9)
    await put(documents, topic, event("fresh"), NOW - outbox.SWEEP_AFTER / 2)
    await put(documents, other, event("theirs"))
    published = await put(documents, topic, event("published"))
    await documents.update(OUTBOX, {"_id": published["_id"]}, {"$set": {"published_at": LONG_AGO}})
    assert await outbox.sweep(documents, log.publisher, NOW, [topic]) == 3
    expected = [encode(event(name)) for name in ("first", "second", "third")]
    assert [message.value for message in await log.read(topic)] == expected
    assert await unpublished(documents) == {"fresh", "theirs"}
    assert await outbox.sweep(documents, log.publisher, NOW, [topic]) == 0


@pytest.mark.parametrize("sent", [0, 1])
async def test_what_an_outage_cut_short_is_published_by_a_later_sweep(
    documents: Documents, log: Log, sent: int
) -> None:
    """Nothing is marked that may not have been published; what had been comes again, as the same bytes."""
    topic = log.topics[0].name
    for number in range(3):
        await put(documents, topic, event(f"event-{number}"), order=number)
    with pytest.raises(Unavailable):
        await outbox.sweep(documents, Dying(log.publisher, sent), NOW, [topic])
    assert len(await unpublished(documents)) == 3
    assert await outbox.sweep(documents, log.publisher, NOW, [topic]) == 3
    values = [message.value for message in await log.read(topic)]
    assert values == [encode(event(f"event-{number}")) for number in (*range(sent), *range(3))]
    assert not await unpublished(documents)


async def test_sweepers_at_once_lose_nothing(documents: Documents, log: Log) -> None:
    """Each entry is published at least once, and none is left."""
    topic = log.topics[0].name
    for number in range(20):
        await put(documents, topic, event(f"event-{number}"))
    await asyncio.gather(*(outbox.sweep(documents, log.publisher, NOW, [topic]) for _ in range(3)))
    assert {message.value for message in await log.read(topic)} == {encode(event(f"event-{n}")) for n in range(20)}
    assert not await unpublished(documents)
