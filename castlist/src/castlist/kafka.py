"""Messages on Kafka, through aiokafka. The only module that knows aiokafka."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.partitioner import DefaultPartitioner, murmur2

from castlist.burying import MAX_MESSAGE, buried, cut
from castlist.codec import encode
from castlist.events import Event
from castlist.ports import Message, Publisher, Subscription, TooLarge, Unavailable
from castlist.topics import DEAD_RETENTION, TOPICS, Topic, topic_of

log = logging.getLogger(__name__)
T = TypeVar("T")
_TIMEOUT_MS = 10_000

# What an outage looks like through aiokafka; the pipelines retry on these.
OUTAGE = (KafkaError, asyncio.TimeoutError, OSError)


async def _within(work: Awaitable[T], seconds: float) -> T:
    # Not asyncio.wait_for: up to Python 3.11 it swallows a cancel that comes in the moment the work is done.
    async with asyncio.timeout(seconds):
        return await work


class KafkaPublisher(Publisher):
    """An idempotent producer with acks from all replicas, made anew after an error it cannot recover from."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def _ready(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=_TIMEOUT_MS,
                    max_request_size=MAX_MESSAGE,
                    compression_type="gzip",
                    linger_ms=0,
                    partitioner=partition_for,
                )
                try:
                    await _within(producer.start(), _TIMEOUT_MS / 1000)
                except OUTAGE as error:
                    await _quietly(producer)
                    raise Unavailable(f"Kafka: {error!r}") from error
                self._producer = producer
            return self._producer

    async def publish(self, *events: Event) -> None:
        messages = [(topic_of(event), event) for event in events]
        await self._send([(t.name, t.key(event).encode(), encode(event), ()) for t, event in messages])

    async def publish_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        await self._send([(topic, key, value, headers)])

    async def publish_entries(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
        await self._send([(topic, key, value, ()) for topic, key, value in entries])

    async def bury(self, message: Message, reason: str) -> None:
        log.warning("dead letter", extra={"topic": message.topic, "offset": message.offset, "reason": reason[:500]})
        letter = buried(message, reason)
        try:
            await self.publish_raw(letter.topic, letter.key, letter.value, letter.headers)
        except TooLarge:
            # What its producer compressed well can be larger than anything we may send.
            letter = cut(letter)
            await self.publish_raw(letter.topic, letter.key, letter.value, letter.headers)

    async def _send(
        self, messages: Sequence[tuple[str, bytes | None, bytes | None, Sequence[tuple[str, bytes]]]]
    ) -> None:
        producer = await self._ready()
        try:
            async with asyncio.timeout(_TIMEOUT_MS / 1000):
                acks = [await producer.send(t, v, k, headers=list(h)) for t, k, v, h in messages]
            await _within(asyncio.gather(*acks), _TIMEOUT_MS / 1000)
        except MessageSizeTooLargeError as error:
            raise TooLarge(f"Kafka: {error}"[:500]) from error
        except OUTAGE as error:
            # A sequence that was torn (broker without its data, fenced producer) never heals: start over. What was
            # sent twice that way carries the same event_id.
            async with self._lock:
                if self._producer is producer:
                    self._producer = None
            await _quietly(producer)
            raise Unavailable(f"Kafka: {error!r}") from error

    async def ping(self) -> None:
        producer = await self._ready()
        try:
            await _within(producer.partitions_for(TOPICS[0].name), 3)
        except OUTAGE as error:
            raise Unavailable(f"Kafka: {error!r}") from error

    async def close(self) -> None:
        """Flush and disconnect."""
        if self._producer is not None:
            await _quietly(self._producer)
            self._producer = None


def partition_for(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """Where a message goes: by its key's hash, as everywhere. But keys that count (`video:chunk`) go to neighbours in
    turn: chunks that met in one partition would wait for each other while a slot has nothing to do."""
    counted, _, number = (key or b"").rpartition(b":")
    if counted and number.isdigit():
        first = int(murmur2(counted)) & 0x7FFFFFFF
        return partitions[(first + int(number)) % len(partitions)]
    return int(DefaultPartitioner()(key, partitions, available))


async def _quietly(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    with contextlib.suppress(*OUTAGE):
        await _within(client.stop(), 3)


class KafkaSubscription(Subscription, ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of a consumer group, committing what is done, by hand."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._held: dict[TopicPartition, int] = {}
        self.joined = False
        """Whether the group has given us partitions, or told us that there are none for us."""

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Keep what is held: most partitions come back to the member that had them."""

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Forget what went elsewhere; hold back what is still being worked on here."""
        self.joined = True
        self._held = {tp: offset for tp, offset in self._held.items() if tp in assigned}
        if self._held:
            self._consumer.pause(*self._held)

    async def receive(self, timeout: float) -> Message | None:
        try:
            batch = await self._consumer.getmany(timeout_ms=int(timeout * 1000), max_records=1)
        except OUTAGE as error:
            raise Unavailable(f"Kafka: {error!r}") from error
        for tp, records in batch.items():
            for record in records:
                if tp in self._held:
                    continue
                self._held[tp] = record.offset
                self._consumer.pause(tp)
                return Message(
                    tp.topic, tp.partition, record.offset, record.key, record.value, tuple(record.headers or ())
                )
        return None

    async def commit(self, message: Message) -> None:
        tp = TopicPartition(message.topic, message.partition)
        if self._held.get(tp) != message.offset:
            return
        try:
            await _within(self._consumer.commit({tp: message.offset + 1}), _TIMEOUT_MS / 1000)
        except (CommitFailedError, IllegalStateError):
            log.info("partition moved before its commit", extra={"topic": tp.topic, "partition": tp.partition})
        except OUTAGE as error:
            raise Unavailable(f"Kafka: {error!r}") from error
        if self._held.get(tp) == message.offset:
            del self._held[tp]
            with contextlib.suppress(IllegalStateError):
                self._consumer.seek(tp, message.offset + 1)
                self._consumer.resume(tp)

    async def behind(self) -> int:
        """Messages that our group has not acknowledged, as the brokers count them: in our partitions, or in all of the
        topics' where we have none (a consumer that fell out of its group has none)."""
        try:
            partitions = self._consumer.assignment() or {
                TopicPartition(topic, partition)
                for topic in self._consumer.subscription()
                for partition in self._consumer.partitions_for_topic(topic) or ()
            }
            ends = await self._consumer.end_offsets(partitions)
            starts = await self._consumer.beginning_offsets(partitions)
            done = {tp: await self._consumer.committed(tp) for tp in partitions}
        except OUTAGE as error:
            raise Unavailable(f"Kafka: {error!r}") from error
        return sum(ends[tp] - max(starts[tp], done[tp] or 0) for tp in partitions)

    def assigned(self) -> int:
        """How many partitions are ours now."""
        return len(self._consumer.assignment())


def _consumer(bootstrap: str, topics: Sequence[Topic], group: str | None, member: str | None) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        *([] if group else [topic.name for topic in topics]),
        bootstrap_servers=bootstrap,
        group_id=group,
        client_id=f"castlist-{member or group or 'broadcast'}",
        enable_auto_commit=False,
        auto_offset_reset="earliest" if group else "latest",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_000,
        rebalance_timeout_ms=6_000,
        max_poll_interval_ms=600_000,
        request_timeout_ms=_TIMEOUT_MS,
        metadata_max_age_ms=10_000,
    )


@asynccontextmanager
async def subscribe(
    bootstrap: str, topics: Sequence[Topic], group: str, member: str | None = None
) -> AsyncIterator[KafkaSubscription]:
    """Be a member of `group` while inside. Unavailable if the brokers cannot be reached."""
    consumer = _consumer(bootstrap, topics, group, member)
    subscription = KafkaSubscription(consumer)
    try:
        consumer.subscribe([topic.name for topic in topics], listener=subscription)
        await _within(consumer.start(), 30)
    except BaseException as error:
        await _quietly(consumer)
        if isinstance(error, OUTAGE):
            raise Unavailable(f"Kafka: {error!r}") from error
        raise
    try:
        yield subscription
    finally:
        await _quietly(consumer)


@asynccontextmanager
async def listen(bootstrap: str, topic: Topic) -> AsyncIterator[AsyncIterator[Message]]:
    """Every message of `topic` from now on, whoever else reads it too. In place before the block is entered."""
    consumer = _consumer(bootstrap, [topic], None, None)
    try:
        await _within(consumer.start(), 30)
        async with asyncio.timeout(30):  # a topic that is not there would be waited for without end
            while not consumer.assignment():  # noqa: ASYNC110 - aiokafka tells nobody
                await asyncio.sleep(0.02)
        for tp in consumer.assignment():
            await _within(consumer.position(tp), 10)
    except BaseException as error:
        await _quietly(consumer)
        if isinstance(error, OUTAGE):
            raise Unavailable(f"Kafka: {error!r}") from error
        raise

    async def messages() -> AsyncIterator[Message]:
        while True:
            try:
                record = await consumer.getone()
            except OUTAGE as error:
                raise Unavailable(f"Kafka: {error!r}") from error
            yield Message(record.topic, record.partition, record.offset, record.key, record.value)

    try:
        yield messages()
    finally:
        await _quietly(consumer)


async def create_topics(bootstrap: str, *, chunk_partitions: int, replication: int = 1) -> list[str]:
    """Create what is missing of the declared topics and their dead letters; returns the names of those created."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_TIMEOUT_MS)
    try:
        await _within(admin.start(), 30)
        there = set(await admin.list_topics())
        wanted: list[NewTopic] = []
        for topic in TOPICS:
            partitions = chunk_partitions if topic.name == "video.chunks" else topic.partitions
            wanted.append(_new_topic(topic.name, partitions, replication, topic.retention))
            wanted.append(_new_topic(topic.dead, 1, replication, DEAD_RETENTION))
        missing = [new for new in wanted if new.name not in there]
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *_ in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise for_code(code)(f"topic {name} was not created")
        return [new.name for new in missing]
    except OUTAGE as error:
        raise Unavailable(f"Kafka: {error!r}") from error
    finally:
        with contextlib.suppress(*OUTAGE):
            await admin.close()


def _new_topic(name: str, partitions: int, replication: int, retention: int) -> NewTopic:
    return NewTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replication,
        topic_configs={"retention.ms": str(retention * 1000), "max.message.bytes": str(MAX_MESSAGE)},
    )
