"""`Publisher` and `Subscription`, in memory and on Kafka."""

import asyncio
import json
import os
import uuid
from collections import Counter

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from castlist.adapters.kafka.connection import patiently
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.kafka.subscription import subscribe
from castlist.contract.topics import TOPICS
from castlist.ports.errors import MessageTooLargeError, UnavailableError
from castlist.ports.messages import Message, ReadPosition, Subscription
from contract.conftest import Log

PATIENCE = 20.0


async def _next(subscription: Subscription) -> Message:
    """The next message; joining a group may take seconds."""
    message = await subscription.receive(PATIENCE)
    assert message is not None, f"nothing within {PATIENCE} s"
    return message


async def _drain(subscription: Subscription, count: int) -> list[Message]:
    found = []
    for _ in range(count):
        found.append(await _next(subscription))
        await subscription.commit(found[-1])
    return found


async def _publish(log: Log, *values: str, key: str = "one") -> None:
    for value in values:
        await log.publisher.publish_raw(log.topics[0].name, key.encode(), value.encode())


async def _spread(log: Log, count: int) -> None:
    """Messages under many keys, so that every partition has some."""
    for n in range(count):
        await _publish(log, f"m{n}", key=f"key-{n}")


async def test_messages_of_a_key_come_in_order(log: Log) -> None:
    """With key, value and headers as they were written, from one partition, offsets rising."""
    await log.publisher.publish_raw(log.topics[0].name, b"k", b"v0", (("h", b"1"), ("h", b"2")))
    await _publish(log, "v1", "v2", key="k")
    async with log.subscribe([log.topics[0]], "g") as subscription:
        found = await _drain(subscription, 3)
    assert [message.value for message in found] == [b"v0", b"v1", b"v2"]
    assert {message.key for message in found} == {b"k"}
    assert found[0].headers == (("h", b"1"), ("h", b"2"))
    assert len({message.partition for message in found}) == 1
    assert [message.offset for message in found] == sorted({message.offset for message in found})


async def test_keyless_and_empty_messages_are_messages(log: Log) -> None:
    """A producer may write anything: no key, no value, or neither, which can be dead-lettered all the same."""
    await log.publisher.publish_raw(log.topics[0].name, None, b"")
    await log.publisher.publish_raw(log.topics[0].name, b"k", None)
    async with log.subscribe([log.topics[0]], "g") as subscription:
        found = await _drain(subscription, 2)
    assert {(message.key, message.value, message.headers) for message in found} == {(None, b"", ()), (b"k", None, ())}
    await log.publisher.publish_dead_letter(Message(log.topics[0].name, 0, 0, None, None, ()), "neither")
    (letter,) = await log.read(log.topics[0].dead)
    assert (letter.key, letter.value) == (None, b"")


async def test_one_message_of_a_partition_at_a_time(log: Log) -> None:
    """Where none may be ahead, what was handed out holds its partition back, and that one only, until it is
    committed."""
    await _publish(log, "a0", "a1", key="a")
    async with log.subscribe([log.topics[0]], "g", ahead=1) as subscription:
        first = await _next(subscription)
        assert await subscription.receive(0.5) is None
        await _spread(log, 40)
        others = [await _next(subscription) for _ in range(3)]
        assert sorted([first.partition, *(other.partition for other in others)]) == [0, 1, 2, 3]
        assert await subscription.receive(0.5) is None
        await subscription.commit(first)
        second = await _next(subscription)
    assert (second.value, second.partition) == (b"a1", first.partition)


async def test_messages_behind_one_that_takes_long_are_handed_out(log: Log) -> None:
    """In their order, up to a bound; they are done in any order, and come again only from the first that is not."""
    await _publish(log, *(f"m{n}" for n in range(8)))
    async with log.subscribe([log.topics[0]], "g", ahead=5) as subscription:
        held = [await _next(subscription) for _ in range(5)]
        assert [message.value for message in held] == [b"m0", b"m1", b"m2", b"m3", b"m4"]
        assert await subscription.receive(0.5) is None
        for message in (held[3], held[1]):
            await subscription.commit(message)
            assert not subscription.holds(message)
        assert await subscription.receive(0.5) is None
        await subscription.commit(held[0])
        following = [await _next(subscription) for _ in range(2)]
        assert [message.value for message in following] == [b"m5", b"m6"]
        assert subscription.holds(held[2])
    async with log.subscribe([log.topics[0]], "g") as subscription:
        again = [await _next(subscription) for _ in range(6)]
        assert [message.value for message in again] == [f"m{n}".encode() for n in range(2, 8)]
        for message in reversed(again):
            await subscription.commit(message)
    async with log.subscribe([log.topics[0]], "g") as subscription:
        assert await subscription.receive(2) is None


async def test_what_was_not_committed_comes_again(log: Log) -> None:
    """A member that goes leaves its work to the next, which begins after the last commit."""
    await _publish(log, "a", "b", "c")
    async with log.subscribe([log.topics[0]], "g") as subscription:
        await _drain(subscription, 1)
        assert (await _next(subscription)).value == b"b"
    async with log.subscribe([log.topics[0]], "g") as subscription:
        assert [message.value for message in await _drain(subscription, 2)] == [b"b", b"c"]
    async with log.subscribe([log.topics[0]], "g") as subscription:
        assert await subscription.receive(2) is None


async def test_committing_twice_or_late_changes_nothing(log: Log) -> None:
    """A second commit of a message, and one of a message before, do not let the held one go."""
    await _publish(log, "a", "b", "c")
    async with log.subscribe([log.topics[0]], "g", ahead=1) as subscription:
        first = await _next(subscription)
        await subscription.commit(first)
        await subscription.commit(first)
        second = await _next(subscription)
        await subscription.commit(first)
        assert await subscription.receive(0.5) is None
        await subscription.commit(second)
        assert (await _next(subscription)).value == b"c"


async def test_groups_do_not_disturb_each_other(log: Log) -> None:
    """Each group gets everything."""
    await _publish(log, "a", "b")
    async with log.subscribe([log.topics[0]], "g") as one, log.subscribe([log.topics[0]], "h") as other:
        assert len(await _drain(one, 2)) == len(await _drain(other, 2)) == 2


async def test_several_topics_at_once(log: Log) -> None:
    """One subscription takes from all of its topics."""
    await log.publisher.publish_raw(log.topics[1].name, b"k", b"second")
    await _publish(log, "first")
    async with log.subscribe(list(log.topics), "g") as subscription:
        assert {message.value for message in await _drain(subscription, 2)} == {b"first", b"second"}


async def test_a_second_member_shares_the_work(log: Log) -> None:
    """After it joined, both get messages, no partition belongs to both, and nothing is lost."""
    async with log.subscribe([log.topics[0]], "g") as one:
        await _publish(log, "warm")
        await _drain(one, 1)
        async with log.subscribe([log.topics[0]], "g") as two:
            seen: dict[str, list[Message]] = {"one": [], "two": []}

            async def work(name: str, member: Subscription) -> None:
                while True:
                    if (message := await member.receive(1)) is not None:
                        seen[name].append(message)
                        await member.commit(message)

            working = [asyncio.create_task(work("one", one)), asyncio.create_task(work("two", two))]
            await _until_both_own(log, seen)
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
    handled = Counter((m.partition, m.offset) for messages in seen.values() for m in messages)
    for partition in range(4):
        offsets = sorted(offset for place, offset in handled if place == partition)
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))


async def _until_both_own(log: Log, seen: dict[str, list[Message]]) -> None:
    """Publish until both members got something in one round, each from partitions of its own."""
    for round in range(30):
        before = {name: len(messages) for name, messages in seen.items()}
        for n in range(16):
            await _publish(log, f"{round}", key=f"key-{n}")
        await asyncio.sleep(1)
        new = {name: {m.partition for m in messages[before[name] :]} for name, messages in seen.items()}
        if all(new.values()) and not new["one"] & new["two"]:
            return
    raise AssertionError("the second member never got its share")


async def test_what_is_held_survives_a_rebalance(log: Log) -> None:
    """While a second member comes and goes, held messages that stay are not handed out here again; those that moved
    are handed out there; committing one that moved has no effect; in the end each is done."""
    await _spread(log, 40)
    total = 40
    async with log.subscribe([log.topics[0]], "g", ahead=1) as one:
        held = [await _next(one) for _ in range(4)]
        async with log.subscribe([log.topics[0]], "g", ahead=1) as two:
            moved = await _handed_out(one, two)
            assert moved, "the second member never got a partition"
            assert {m.partition for m in held if not one.holds(m)} == {m.partition for m in moved}
            for message in moved:
                assert message.offset == next(m.offset for m in held if m.partition == message.partition)
            for message in held:
                await one.commit(message)  # those that moved are the other member's now
            for message in moved:
                await two.commit(message)
        done = {(m.partition, m.offset) for m in held}
        while (left := await one.receive(3)) is not None:
            done.add((left.partition, left.offset))
            await one.commit(left)
    assert len(done) == total
    async with log.subscribe([log.topics[0]], "g") as three:
        assert await three.receive(3) is None


async def _handed_out(one: Subscription, two: Subscription) -> list[Message]:
    """What the second member gets, while the first, which holds a message of each partition, gets nothing."""
    got: list[Message] = []
    for _ in range(40):
        first, second = await asyncio.gather(one.receive(0.5), two.receive(0.5))
        assert first is None, f"{first} was handed out twice to one member"
        if second is not None:
            got.append(second)
        elif got:
            break
    return got


async def test_waiting_in_vain_takes_its_time_and_ends(log: Log) -> None:
    """Nothing to receive is None, and a message that comes while waiting ends the wait."""
    async with log.subscribe([log.topics[0]], "g") as subscription:
        await _publish(log, "warm")
        await _drain(subscription, 1)
        assert await subscription.receive(0) is None
        waiting = asyncio.create_task(subscription.receive(PATIENCE))
        await asyncio.sleep(0.2)
        await _publish(log, "late")
        message = await waiting
    assert message is not None
    assert message.value == b"late"


async def test_listeners_hear_what_is_new_and_all_of_it(log: Log) -> None:
    """Two listeners both hear what is written once they are in place, nothing older, whatever groups read."""
    await _publish(log, "old")
    async with log.listen(log.topics[0]) as one, log.listen(log.topics[0]) as two:
        await _spread(log, 12)
        for messages in (one, two):
            heard = [await asyncio.wait_for(anext(messages), PATIENCE) for _ in range(12)]
            assert sorted(str(m.value) for m in heard) == sorted(str(f"m{n}".encode()) for n in range(12))


async def test_dead_letters_are_raw_with_their_reason(log: Log) -> None:
    """Key and value as they were, where it lay and why (cut to 500 characters) in the headers."""
    await _publish(log, "\x00 not json", key="k")
    async with log.subscribe([log.topics[0]], "g") as subscription:
        message = await _next(subscription)
        await log.publisher.publish_dead_letter(message, "because " * 100)
    (letter,) = await log.read(log.topics[0].dead)
    assert (letter.key, letter.value) == (b"k", b"\x00 not json")
    headers = dict(letter.headers)
    assert headers.pop("error") == ("because " * 100)[:500].encode()
    assert headers == {
        "topic": message.topic.encode(),
        "partition": str(message.partition).encode(),
        "offset": str(message.offset).encode(),
    }


async def test_a_message_that_is_too_large_is_refused_and_harms_no_other(log: Log) -> None:
    """An error at once, not tried for ever; the publisher goes on; a dead letter of that size is cut, and says so."""
    large = json.dumps(list(range(400_000))).encode()
    with pytest.raises(MessageTooLargeError):
        await log.publisher.publish_raw(log.topics[0].name, b"k", large)
    await _publish(log, "next", key="k")
    await log.publisher.publish_dead_letter(Message(log.topics[0].name, 2, 7, b"k", large, ()), "too large")
    (letter,) = await log.read(log.topics[0].dead)
    assert letter.value
    assert large.startswith(letter.value)
    assert dict(letter.headers)["truncated_from"] == str(len(large)).encode()
    assert [message.value for message in await log.read(log.topics[0].name)] == [b"next"]


async def test_many_publish_at_once(log: Log) -> None:
    """Concurrent publishers through one connection: everything arrives, once."""
    await asyncio.gather(*(_publish(log, f"v{n}", key=f"k{n % 7}") for n in range(100)))
    await log.publisher.ping()
    values = Counter(message.value for message in await log.read(log.topics[0].name))
    assert values == Counter(f"v{n}".encode() for n in range(100))


async def test_positions_say_what_is_not_dealt_with(log: Log) -> None:
    """Of every partition of a member's own: the next message, or the one in hand; the log's ends are what is ahead."""
    topic = log.topics[0]
    await _publish(log, "one", "two")
    async with log.subscribe([topic], "g") as subscription:
        first = await _next(subscription)
        held = (topic.name, first.partition)
        positions = await subscription.positions()
        assert sorted(positions) == [(topic.name, number) for number in range(4)]
        assert positions[held] == ReadPosition(0, in_hand=True)
        assert (await log.observer.bounds(positions))[held] == (0, 2)
        await subscription.commit(first)
        assert (await subscription.positions())[held] == ReadPosition(1)
        assert await log.observer.has_message(held, 1)
        await subscription.commit(await _next(subscription))
        assert (await subscription.positions())[held] == ReadPosition(2)
        assert not await log.observer.has_message(held, 2)


async def test_positions_of_a_listener_are_behind_what_it_has_not_heard(log: Log) -> None:
    """It begins at the end of each partition."""
    topic = log.topics[0]
    await _publish(log, "old")
    async with log.listen(topic) as messages:
        before = await messages.positions()
        assert {partition: end for partition, (_, end) in (await log.observer.bounds(before)).items()} == {
            partition: position.offset for partition, position in before.items()
        }
        await _publish(log, "new")
        heard = await asyncio.wait_for(anext(messages), PATIENCE)
        assert (await messages.positions())[topic.name, heard.partition] == ReadPosition(heard.offset + 1)


async def test_what_every_group_has_read_can_be_erased(log: Log) -> None:
    """Up to where the slowest of them is, and where none reads nothing; what comes later is read as ever."""
    topic, other = log.topics
    await _publish(log, "one", "two", "three")
    await log.publisher.publish_raw(other.name, b"k", b"unread")
    ends = {place: end for place, end in (await log.eraser.ends([topic, other])).items() if end}
    assert sorted(ends.values()) == [1, 3]
    of_topic = {place: end for place, end in ends.items() if place[0] == topic.name}
    async with log.subscribe([topic], "fast") as fast, log.subscribe([topic], "slow") as slow:
        await _drain(fast, 3)
        await _drain(slow, 2)
        assert sorted(await log.eraser.erase_read(ends)) == sorted(ends)
        assert [message.value for message in await log.read(topic.name)] == [b"three"]
        await _drain(slow, 1)
    assert await log.eraser.erase_read(of_topic) == []
    assert await log.eraser.erase_read(of_topic) == []
    assert await log.eraser.erase_read(ends) == [place for place in ends if place[0] == other.name]
    assert [message.value for message in await log.read(other.name)] == [b"unread"]
    await _publish(log, "four")
    async with log.subscribe([topic], "slow") as slow:
        assert [message.value for message in await _drain(slow, 1)] == [b"four"]


@pytest.mark.stack
async def test_a_topic_that_is_missing_is_asked_for_with_pauses(caplog: pytest.LogCaptureFixture) -> None:
    """By default aiokafka asks as fast as the broker answers, and logs each answer."""
    consumer = patiently(AIOKafkaConsumer(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"]))
    await consumer.start()
    try:
        consumer.assign([TopicPartition(f"missing-{uuid.uuid4().hex}", 0)])
        await asyncio.sleep(3)
    finally:
        await consumer.stop()
    asked = [record for record in caplog.records if "not found in cluster metadata" in record.getMessage()]
    assert 1 <= len(asked) <= 30


async def test_absent_brokers_are_unavailable() -> None:
    """A port where no server listens heals by waiting: UnavailableError for publishers and subscribers."""
    publisher = KafkaPublisher("127.0.0.1:9")
    with pytest.raises(UnavailableError):
        await publisher.publish_raw("topic", b"k", b"v")
    with pytest.raises(UnavailableError):
        await publisher.ping()
    with pytest.raises(UnavailableError):
        async with subscribe("127.0.0.1:9", "", TOPICS, "g"):
            pytest.fail("there are no brokers")
    await publisher.close()


async def test_entries_are_written_in_their_order(log: Log) -> None:
    """Several at once, over topics and keys: those of a key keep their order."""
    topic, other = (topic.name for topic in log.topics)
    await log.publisher.publish_entries([(topic, b"k", b"1"), (other, b"k", b"2"), (topic, b"k", b"3")])
    await log.publisher.publish_entries([])
    assert [message.value for message in await log.read(topic)] == [b"1", b"3"]
    assert [message.value for message in await log.read(other)] == [b"2"]
