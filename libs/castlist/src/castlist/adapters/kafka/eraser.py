"""Deleting records of Kafka before their retention ends."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from castlist.adapters.kafka.connection import OUTAGE, TIMEOUT_MS, stop_quietly
from castlist.adapters.kafka.observer import KafkaObserver
from castlist.contract.topics import Topic
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import LogEraser, Partition


class KafkaEraser(LogEraser):
    """Asks all groups of the cluster, whoever they belong to. In Kafka the names of topics begin with `prefix`."""

    def __init__(self, bootstrap: str, prefix: str = "") -> None:
        self._bootstrap, self._prefix = bootstrap, prefix
        self._observer = KafkaObserver(bootstrap, prefix)

    async def ends(self, topics: Sequence[Topic]) -> Mapping[Partition, int]:
        async with self._administration() as admin:
            described = await admin.describe_topics([self._prefix + topic.name for topic in topics])
        names = [(found["topic"].removeprefix(self._prefix), found["partitions"]) for found in described]
        there = [(name, partition["partition"]) for name, partitions in names for partition in partitions]
        try:
            return {place: end for place, (_, end) in (await self._observer.bounds(there)).items()}
        finally:
            await self._observer.close()

    async def erase_read(self, ends: Mapping[Partition, int]) -> Collection[Partition]:
        try:
            bounds = await self._observer.bounds(ends)
        finally:
            await self._observer.close()
        there = {place: end for place, end in ends.items() if bounds[place][0] < end}
        if not there:
            return []
        async with self._administration() as admin:
            read = await _read_by_all(admin, map(self._placed, there))
            firsts = {place: bounds[place][0] for place in there}
            erased = {place: min(end, read.get(self._placed(place), firsts[place])) for place, end in there.items()}
            if asked := {place: end for place, end in erased.items() if end > firsts[place]}:
                before = {self._placed(place): RecordsToDelete(before_offset=end) for place, end in asked.items()}
                await admin.delete_records(before)
        return [place for place, end in there.items() if erased[place] < end]

    def _placed(self, partition: Partition) -> TopicPartition:
        return TopicPartition(self._prefix + partition[0], partition[1])

    @asynccontextmanager
    async def _administration(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, request_timeout_ms=TIMEOUT_MS)
        try:
            async with asyncio.timeout(2 * TIMEOUT_MS / 1000):
                await admin.start()
                yield admin
        except OUTAGE as error:
            raise UnavailableError(f"Kafka: {error!r}") from error
        finally:
            await stop_quietly(admin)


async def _read_by_all(admin: AIOKafkaAdminClient, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Up to where each group has read that reads there at all; partitions that no group reads are left out."""
    asked, read = set(partitions), dict[TopicPartition, int]()
    for group, *_ in await admin.list_consumer_groups():
        for place, found in (await admin.list_consumer_group_offsets(group)).items():
            if place in asked and found.offset >= 0:
                read[place] = min(found.offset, read.get(place, found.offset))
    return read
