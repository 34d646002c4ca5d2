"""The outbox and its relay, in memory and on the servers: what was written is published, at least once, in order."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from castlist.contract.codec import encode
from castlist.contract.events import Event, ProfileCreated
from castlist.contract.topics import Topic
from castlist.messaging.outbox_relay import LEFT_BEHIND, OutboxRelay
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Message, Publisher
from castlist.service.periodic import in_background
from castlist.store import outbox
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.outbox import OutboxRecord
from castlist.store.store import Store
from contract.conftest import Log
from testkit.examples import example

NOW = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=1)
AT_ONCE = timedelta(0)


def event(name: str) -> ProfileCreated:
    """An event with an id of its own."""
    made: ProfileCreated = example(ProfileCreated, event_id=name)
    return made


def relay(store: Store, publisher: Publisher, topic: Topic) -> OutboxRelay:
    """For one topic, at `NOW`."""
    return OutboxRelay(store, publisher, lambda: NOW, [topic])


async def put(store: Store, topic: Topic, what: Event, at: datetime = LONG_AGO, order: int = 0) -> OutboxRecord:
    """An entry for a topic of this test's own."""
    entry = msgspec.structs.replace(outbox.entry(what, at, order), topic=topic.name)
    await store.outbox.insert(entry)
    return entry


async def unpublished(store: Store) -> set[str]:
    """The ids of what waits."""
    return set(await store.outbox.ids(eq(OutboxRecord.published_at, None)))


class Dying(Publisher):
    """A publisher whose Kafka goes away after some messages, and is back for the second call."""

    def __init__(self, publisher: Publisher, messages: int) -> None:
        self._publisher, self._messages, self.failed = publisher, messages, False

    async def publish(self, *events: Event) -> None:
        raise NotImplementedError

    async def publish_entries(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
        if self.failed:
            await self._publisher.publish_entries(entries)
            return
        await self._publisher.publish_entries(entries[: self._messages])
        self.failed = True
        raise UnavailableError("Kafka is away")

    async def publish_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        raise NotImplementedError

    async def publish_dead_letter(self, message: Message, reason: str) -> None:
        raise NotImplementedError

    async def ping(self) -> None:
        raise NotImplementedError


async def test_an_event_is_written_once(store: Store) -> None:
    """Adding it again, also at once, leaves the first entry as it stands and returns that."""
    first = await outbox.add(store, event("a"), NOW)
    again = await asyncio.gather(*(outbox.add(store, event("a"), NOW + timedelta(seconds=n)) for n in range(1, 5)))
    assert all(entry == first for entry in again)
    assert await store.outbox.find() == [first]
    assert first.value.encode() == encode(event("a"))
    assert (first.topic, first.key, first.published_at) == ("profile.events", "default", None)


async def test_an_event_that_was_published_is_not_revived(store: Store) -> None:
    """A redo that adds it again finds it published, and leaves it so."""
    entry = await outbox.add(store, event("a"), LONG_AGO)
    await store.outbox.update(with_id(entry.id), set_to(OutboxRecord.published_at, NOW))
    assert (await outbox.add(store, event("a"), NOW)).published_at == NOW
    assert not await unpublished(store)


async def test_publishing_writes_and_marks(store: Store, log: Log) -> None:
    """The messages lie in the topic under their key, in the order given, and the entries say when."""
    topic = log.topics[0]
    entries = [await put(store, topic, event(name)) for name in ("b", "a", "c")]
    await relay(store, log.publisher, topic).publish(entries)
    messages = await log.read(topic.name)
    assert [message.value for message in messages] == [encode(event(name)) for name in ("b", "a", "c")]
    assert {message.key for message in messages} == {b"default"}
    assert {entry.published_at for entry in await store.outbox.find()} == {NOW}


async def test_a_sweep_publishes_what_was_left(store: Store, log: Log) -> None:
    """Oldest first and in order; not what is fresh, what is published, or what another relay publishes."""
    topic, other = log.topics
    await put(store, topic, event("third"), LONG_AGO, order=2)
    await put(store, topic, event("second"), LONG_AGO, order=1)
    await put(store, topic, event("first"), LONG_AGO - timedelta(seconds=1), order=9)
    await put(store, topic, event("fresh"), NOW - LEFT_BEHIND / 2)
    await put(store, other, event("theirs"))
    published = await put(store, topic, event("published"))
    await store.outbox.update(with_id(published.id), set_to(OutboxRecord.published_at, LONG_AGO))
    own = relay(store, log.publisher, topic)
    assert await own.sweep() == 3
    expected = [encode(event(name)) for name in ("first", "second", "third")]
    assert [message.value for message in await log.read(topic.name)] == expected
    assert await unpublished(store) == {"fresh", "theirs"}
    assert await own.sweep() == 0


async def test_a_sweep_without_an_age_publishes_what_is_fresh_too(store: Store, log: Log) -> None:
    """Of its own topic, and behind what was left from before: the later of two events stays the later one."""
    topic, other = log.topics
    await put(store, topic, event("fresh"), NOW)
    await put(store, topic, event("left"), LONG_AGO, order=outbox.LAST)
    await put(store, other, event("theirs"), NOW)
    assert await relay(store, log.publisher, topic).sweep(AT_ONCE) == 2
    expected = [encode(event(name)) for name in ("left", "fresh")]
    assert [message.value for message in await log.read(topic.name)] == expected
    assert await unpublished(store) == {"theirs"}


async def test_a_sweep_goes_on_until_nothing_is_left(store: Store, log: Log) -> None:
    """More than fit into one batch, in one order over all batches."""
    topic = log.topics[0]
    entries = [outbox.entry(event(f"event-{number}"), LONG_AGO, number) for number in range(250)]
    await store.outbox.insert_many(msgspec.structs.replace(entry, topic=topic.name) for entry in reversed(entries))
    assert await relay(store, log.publisher, topic).sweep() == 250
    assert [message.value for message in await log.read(topic.name)] == [entry.value.encode() for entry in entries]
    assert not await unpublished(store)


@pytest.mark.parametrize("sent", [0, 1])
async def test_what_an_outage_cut_short_is_published_by_a_later_sweep(store: Store, log: Log, sent: int) -> None:
    """Nothing is marked that may not have been published; what had been comes again, as the same bytes."""
    topic = log.topics[0]
    for number in range(3):
        await put(store, topic, event(f"event-{number}"), order=number)
    own = relay(store, Dying(log.publisher, sent), topic)
    with pytest.raises(UnavailableError):
        await own.sweep()
    assert len(await unpublished(store)) == 3
    assert await own.sweep() == 3
    values = [message.value for message in await log.read(topic.name)]
    assert values == [encode(event(f"event-{number}")) for number in (*range(sent), *range(3))]
    assert not await unpublished(store)


async def test_sweeps_at_once_lose_nothing(store: Store, log: Log) -> None:
    """Each entry is published at least once, and none is left."""
    topic = log.topics[0]
    for number in range(20):
        await put(store, topic, event(f"event-{number}"))
    await asyncio.gather(*(relay(store, log.publisher, topic).sweep() for _ in range(3)))
    values = {message.value for message in await log.read(topic.name)}
    assert values == {encode(event(f"event-{number}")) for number in range(20)}
    assert not await unpublished(store)


async def test_a_running_relay_publishes_what_it_is_woken_for(store: Store, log: Log) -> None:
    """However fresh it is, each time it is woken."""
    topic = log.topics[0]
    own = relay(store, log.publisher, topic)
    async with log.listen(topic) as messages, in_background(own.run()):
        for name in ("first", "second"):
            await put(store, topic, event(name), NOW)
            own.wake()
            assert (await anext(messages)).value == encode(event(name))


async def test_a_running_relay_finds_what_it_was_not_woken_for(store: Store, log: Log) -> None:
    """Once it is so old that the process that wrote it is not about to publish it; what is fresh is left to that."""
    topic = log.topics[0]
    await put(store, topic, event("fresh"), NOW)
    await put(store, topic, event("left"))
    async with log.listen(topic) as messages, in_background(relay(store, log.publisher, topic).run()):
        assert (await anext(messages)).value == encode(event("left"))
    assert "fresh" in await unpublished(store)


async def test_a_running_relay_waits_out_an_outage(store: Store, log: Log) -> None:
    """What it was woken for while Kafka was away is published when it is back, without being woken again."""
    topic = log.topics[0]
    publisher = Dying(log.publisher, 0)
    own = relay(store, publisher, topic)
    await put(store, topic, event("a"), NOW)
    async with log.listen(topic) as messages, in_background(own.run()):
        own.wake()
        assert (await anext(messages)).value == encode(event("a"))
    assert publisher.failed


async def test_what_the_log_does_not_take_holds_up_nothing(store: Store, log: Log) -> None:
    """It becomes a dead letter with the reason, and is done with; all around it is published, in order."""
    topic = log.topics[0]
    entries = [await put(store, topic, event(name), order=order) for order, name in enumerate("abc")]
    await store.outbox.replace(msgspec.structs.replace(entries[1], value="x" * 1_100_000))
    await relay(store, log.publisher, topic).sweep(AT_ONCE)
    assert await unpublished(store) == set()
    published = [message.value for message in await log.read(topic.name)]
    first, last = (one.value.encode() for one in (entries[0], entries[2]))
    assert list(dict.fromkeys(published)) == [first, last]
    (letter,) = await log.read(topic.dead)
    assert b"cannot be published" in dict(letter.headers)["error"]
