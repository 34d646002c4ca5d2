"""Writing to Kafka."""

import asyncio
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    MessageSizeTooLargeError,
)
from aiokafka.partitioner import DefaultPartitioner, murmur2

from castlist.adapters.kafka.connection import OUTAGE, TIMEOUT_MS, client_options, patiently, stop_quietly, within
from castlist.contract.codec import encode
from castlist.contract.events import Event
from castlist.contract.topics import TOPICS, topic_of
from castlist.ports.dead_letters import MAX_MESSAGE, cut, dead_letter
from castlist.ports.errors import MessageTooLargeError, UnavailableError
from castlist.ports.messages import Message, Publisher

log = logging.getLogger(__name__)


class KafkaPublisher(Publisher):
    """An idempotent producer with acks from all replicas, made anew after an error it cannot recover from.

    In Kafka the names of topics begin with `prefix`.
    """

    def __init__(self, bootstrap: str, prefix: str = "") -> None:
        self._bootstrap, self._prefix = bootstrap, prefix
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def _ready(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                producer = patiently(
                    AIOKafkaProducer(
                        **client_options(self._bootstrap),
                        acks="all",
                        enable_idempotence=True,
                        request_timeout_ms=TIMEOUT_MS,
                        max_request_size=MAX_MESSAGE,
                        compression_type="gzip",
                        linger_ms=0,
                        partitioner=partition_for,
                    )
                )
                try:
                    await within(producer.start(), TIMEOUT_MS / 1000)
                except OUTAGE as error:
                    await stop_quietly(producer)
                    raise UnavailableError(f"Kafka: {error!r}") from error
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

    async def publish_dead_letter(self, message: Message, reason: str) -> None:
        log.warning("dead_lettered", extra={"topic": message.topic, "offset": message.offset, "reason": reason[:500]})
        letter = dead_letter(message, reason)
        try:
            await self.publish_raw(letter.topic, letter.key, letter.value, letter.headers)
        except MessageTooLargeError:
            # What its producer compressed well can be larger than anything we may send.
            letter = cut(letter)
            await self.publish_raw(letter.topic, letter.key, letter.value, letter.headers)

    async def _send(
        self, messages: Sequence[tuple[str, bytes | None, bytes | None, Sequence[tuple[str, bytes]]]]
    ) -> None:
        producer = await self._ready()
        try:
            async with asyncio.timeout(TIMEOUT_MS / 1000):
                acks = [await producer.send(self._prefix + t, v, k, headers=list(h)) for t, k, v, h in messages]
            await within(asyncio.gather(*acks), TIMEOUT_MS / 1000)
        except MessageSizeTooLargeError as error:
            raise MessageTooLargeError(f"Kafka: {error}"[:500]) from error
        except OUTAGE as error:
            # A sequence that was torn (broker without its data, fenced producer) never heals: start over. What was
            # sent twice that way carries the same event_id.
            async with self._lock:
                if self._producer is producer:
                    self._producer = None
            await stop_quietly(producer)
            raise UnavailableError(f"Kafka: {error!r}") from error

    async def ping(self) -> None:
        producer = await self._ready()
        try:
            await within(producer.partitions_for(self._prefix + TOPICS[0].name), 3)
        except OUTAGE as error:
            raise UnavailableError(f"Kafka: {error!r}") from error

    async def close(self) -> None:
        """Flush and disconnect."""
        if self._producer is not None:
            await stop_quietly(self._producer)
            self._producer = None


def partition_for(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """Where a message goes: by its key's hash, as everywhere. But keys that count (`video:chunk`) go to neighbours in
    turn: chunks that met in one partition would wait for each other while a slot has nothing to do."""
    counted, _, number = (key or b"").rpartition(b":")
    if counted and number.isdigit():
        first = int(murmur2(counted)) & 0x7FFFFFFF
        return partitions[(first + int(number)) % len(partitions)]
    return int(DefaultPartitioner()(key, partitions, available))
