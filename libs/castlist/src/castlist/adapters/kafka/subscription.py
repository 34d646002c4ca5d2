"""Reading from Kafka: as a member of a group, or beside all groups."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
)

from castlist.adapters.kafka.connection import OUTAGE, TIMEOUT_MS, client_options, patiently, stop_quietly, within
from castlist.contract.topics import Topic
from castlist.ports.errors import UnavailableError
from castlist.ports.held_messages import HeldMessages
from castlist.ports.messages import AHEAD, Listened, Message, Partition, ReadPosition, Subscription

log = logging.getLogger(__name__)


class KafkaSubscription(Subscription, ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of a consumer group, committing what is done, by hand."""

    def __init__(self, consumer: AIOKafkaConsumer, prefix: str, ahead: int) -> None:
        self._consumer, self._prefix = consumer, prefix
        self._ahead = ahead
        self._held: dict[TopicPartition, HeldMessages] = {}
        self.joined = False
        """Whether the group has given us partitions, or told us that there are none for us."""

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Keep what is held: most partitions come back to the member that had them."""

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Forget what went elsewhere; hold back what is still being worked on here."""
        self.joined = True
        self._held = {tp: held for tp, held in self._held.items() if tp in assigned}
        if full := [tp for tp, held in self._held.items() if held.at_work >= self._ahead]:
            self._consumer.pause(*full)

    async def receive(self, timeout: float) -> Message | None:
        try:
            batch = await self._consumer.getmany(timeout_ms=int(timeout * 1000), max_records=1)
        except OUTAGE as error:
            raise UnavailableError(f"Kafka: {error!r}") from error
        for tp, records in batch.items():
            held = self._held.setdefault(tp, HeldMessages())
            for record in records:
                headers = tuple(record.headers or ())
                name = tp.topic.removeprefix(self._prefix)
                message = Message(name, tp.partition, record.offset, record.key, record.value, headers)
                if not held.add(message):  # a rebalance has taken the group back to what it committed
                    await self._commit(tp, held)
                    continue
                if len(held) >= self._ahead:
                    self._consumer.pause(tp)
                return message
        return None

    def holds(self, message: Message) -> bool:
        held = self._held.get(self._placed(message))
        return held is not None and held.holds(message)

    async def commit(self, message: Message) -> None:
        tp = self._placed(message)
        held = self._held.get(tp)
        if held is not None and held.done(message):
            await self._commit(tp, held)

    async def _commit(self, tp: TopicPartition, held: HeldMessages) -> None:
        """Tell the group up to where everything is done, if that is further than it knows."""
        offset = held.reached()
        if offset is None:
            return
        try:
            await within(self._consumer.commit({tp: offset}), TIMEOUT_MS / 1000)
        except (CommitFailedError, IllegalStateError):
            log.info("partition_moved", extra={"topic": tp.topic, "partition": tp.partition})
            return
        except OUTAGE as error:
            raise UnavailableError(f"Kafka: {error!r}") from error
        held.committed(offset)
        if self._held.get(tp) is held and len(held) < self._ahead:
            with contextlib.suppress(IllegalStateError):
                self._consumer.resume(tp)

    async def positions(self) -> Mapping[Partition, ReadPosition]:
        """A consumer that fell out of its group has no partitions."""
        if self._consumer.assignment():
            held = {
                tp: ReadPosition(held.first, in_hand=True) for tp, held in self._held.items() if held.first is not None
            }
            return self._named({**await positions_of(self._consumer), **held})
        partitions = [
            TopicPartition(topic, partition)
            for topic in self._consumer.subscription()
            for partition in self._consumer.partitions_for_topic(topic) or ()
        ]
        try:
            async with asyncio.timeout(TIMEOUT_MS / 1000):
                return self._named({tp: ReadPosition(await self._consumer.committed(tp)) for tp in partitions})
        except OUTAGE as error:
            raise UnavailableError(f"Kafka: {error!r}") from error

    def _placed(self, message: Message) -> TopicPartition:
        return TopicPartition(self._prefix + message.topic, message.partition)

    def _named(self, positions: Mapping[TopicPartition, ReadPosition]) -> Mapping[Partition, ReadPosition]:
        return {(tp.topic.removeprefix(self._prefix), tp.partition): at for tp, at in positions.items()}


class KafkaListened(Listened):
    """What comes after all partitions were asked for their ends."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: Topic) -> None:
        self._consumer, self._topic = consumer, topic

    async def __anext__(self) -> Message:
        try:
            record = await self._consumer.getone()
        except OUTAGE as error:
            raise UnavailableError(f"Kafka: {error!r}") from error
        return Message(self._topic.name, record.partition, record.offset, record.key, record.value)

    async def positions(self) -> Mapping[Partition, ReadPosition]:
        found = await positions_of(self._consumer)
        return {(self._topic.name, tp.partition): position for tp, position in found.items()}


async def positions_of(consumer: AIOKafkaConsumer) -> Mapping[TopicPartition, ReadPosition]:
    """Where a consumer stands in the partitions that are assigned to it."""

    async def position(tp: TopicPartition) -> int | None:
        try:
            return int(await within(consumer.position(tp), 1))
        except (IllegalStateError, TimeoutError):  # it moved away, or the brokers have not said yet where it begins
            return None

    assigned = sorted(consumer.assignment())
    offsets = await asyncio.gather(*map(position, assigned))
    return {tp: ReadPosition(offset) for tp, offset in zip(assigned, offsets, strict=True)}


def _consumer(bootstrap: str, topics: Sequence[str], group: str | None, member: str | None) -> AIOKafkaConsumer:
    return patiently(
        AIOKafkaConsumer(
            *([] if group else topics),
            **client_options(bootstrap),
            group_id=group,
            client_id=f"castlist-{member or group or 'broadcast'}",
            enable_auto_commit=False,
            auto_offset_reset="earliest" if group else "latest",
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            rebalance_timeout_ms=6_000,
            max_poll_interval_ms=600_000,
            request_timeout_ms=TIMEOUT_MS,
            metadata_max_age_ms=10_000,
        )
    )


@asynccontextmanager
async def subscribe(
    bootstrap: str, prefix: str, topics: Sequence[Topic], group: str, member: str | None = None, ahead: int = AHEAD
) -> AsyncIterator[KafkaSubscription]:
    """Be a member of `group` while inside. UnavailableError if the brokers cannot be reached.

    In Kafka the names of topics and groups begin with `prefix`.
    """
    names = [prefix + topic.name for topic in topics]
    consumer = _consumer(bootstrap, names, prefix + group, member)
    subscription = KafkaSubscription(consumer, prefix, ahead)
    try:
        consumer.subscribe(names, listener=subscription)
        await within(consumer.start(), 30)
    except BaseException as error:
        await stop_quietly(consumer)
        if isinstance(error, OUTAGE):
            raise UnavailableError(f"Kafka: {error!r}") from error
        raise
    try:
        yield subscription
    finally:
        await stop_quietly(consumer)


@asynccontextmanager
async def listen(bootstrap: str, prefix: str, topic: Topic) -> AsyncIterator[Listened]:
    """Every message of `topic` from now on, beside all other readers. In place before the block is entered."""
    consumer = _consumer(bootstrap, [prefix + topic.name], None, None)
    try:
        await within(consumer.start(), 30)
        async with asyncio.timeout(30):  # a topic that is not there would be waited for without end
            while not consumer.assignment():  # noqa: ASYNC110 - aiokafka has no event for it
                await asyncio.sleep(0.02)
        for tp in consumer.assignment():
            await within(consumer.position(tp), 10)
    except BaseException as error:
        await stop_quietly(consumer)
        if isinstance(error, OUTAGE):
            raise UnavailableError(f"Kafka: {error!r}") from error
        raise
    try:
        yield KafkaListened(consumer, topic)
    finally:
        await stop_quietly(consumer)
