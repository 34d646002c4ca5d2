"""Looking at Kafka's log from outside all groups."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from castlist.adapters.kafka.connection import OUTAGE, TIMEOUT_MS, client_options, patiently, stop_quietly, within
from castlist.contract.topics import Topic
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import LogObserver, Partition

_LOOK_MS = 3_000


class KafkaObserver(LogObserver):
    """A client of its own: the one that is observed may be what is stuck. Connects when it is first asked.

    In Kafka the names of topics and groups begin with `prefix`.
    """

    def __init__(self, bootstrap: str, prefix: str = "") -> None:
        self._bootstrap, self._prefix = bootstrap, prefix
        self._consumer: AIOKafkaConsumer | None = None

    async def bounds(self, partitions: Iterable[Partition]) -> Mapping[Partition, tuple[int, int]]:
        asked = {partition: self._placed(partition) for partition in partitions}
        if not asked:
            return {}
        try:
            consumer = await self._ready()
            async with asyncio.timeout(TIMEOUT_MS / 1000):
                firsts = await consumer.beginning_offsets(list(asked.values()))
                ends = await consumer.end_offsets(list(asked.values()))
        except OUTAGE as error:
            await self.close()
            raise UnavailableError(f"Kafka: {error!r}") from error
        return {partition: (firsts[tp], ends[tp]) for partition, tp in asked.items()}

    async def has_message(self, partition: Partition, offset: int) -> bool:
        tp = self._placed(partition)
        consumer = self._new()
        try:
            await within(consumer.start(), TIMEOUT_MS / 1000)
            consumer.assign([tp])
            consumer.seek(tp, offset)
            return bool(await consumer.getmany(tp, timeout_ms=_LOOK_MS, max_records=1))
        except OUTAGE as error:
            raise UnavailableError(f"Kafka: {error!r}") from error
        finally:
            await stop_quietly(consumer)

    async def acknowledged(self, group: str, topics: Sequence[Topic]) -> Mapping[Partition, int | None]:
        """What a group has acknowledged of each partition of `topics`; None where that is nothing."""
        admin = AIOKafkaAdminClient(**client_options(self._bootstrap), request_timeout_ms=TIMEOUT_MS)
        try:
            async with asyncio.timeout(TIMEOUT_MS / 1000):
                await admin.start()
                described = await admin.describe_topics([self._prefix + topic.name for topic in topics])
                committed = await admin.list_consumer_group_offsets(self._prefix + group)
        except OUTAGE as error:
            raise UnavailableError(f"Kafka: {error!r}") from error
        finally:
            await stop_quietly(admin)
        offsets = {(tp.topic, tp.partition): found.offset for tp, found in committed.items() if found.offset >= 0}
        places = [(topic["topic"], partition["partition"]) for topic in described for partition in topic["partitions"]]
        return {(place[0].removeprefix(self._prefix), place[1]): offsets.get(place) for place in places}

    async def close(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_quietly(consumer)

    def _placed(self, partition: Partition) -> TopicPartition:
        return TopicPartition(self._prefix + partition[0], partition[1])

    async def _ready(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = self._new()
            try:
                await within(consumer.start(), TIMEOUT_MS / 1000)
            except BaseException:
                await stop_quietly(consumer)
                raise
            self._consumer = consumer
        return self._consumer

    def _new(self) -> AIOKafkaConsumer:
        return patiently(
            AIOKafkaConsumer(
                **client_options(self._bootstrap),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                request_timeout_ms=TIMEOUT_MS,
            )
        )
