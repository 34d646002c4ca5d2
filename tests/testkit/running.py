"""Handles on the running stack for tests that speak to its topics and look into its database."""

import inspect
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from castlist.adapters import mongo
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.mongo import MongoDocuments
from conftest import RunningStack


def eventually(check: Callable[[], Any], patience: float = 30.0) -> Any:
    """Call `check` until what it returns is true, and return that; fails after `patience` seconds."""
    until = time.monotonic() + patience
    while not (result := check()):
        assert time.monotonic() < until, f"not so within {patience} s: {inspect.getsource(check).strip()}"
        time.sleep(0.05)
    return result


@asynccontextmanager
async def connected(stack: RunningStack) -> AsyncIterator[tuple[MongoDocuments, KafkaPublisher]]:
    """The stack's database and a publisher to its topics."""
    documents = mongo.connect(stack.mongo_url, "castlist")
    publisher = KafkaPublisher(stack.kafka_bootstrap)
    try:
        yield documents, publisher
    finally:
        await publisher.close()
        documents.close()


async def whole_topic(stack: RunningStack, topic: str) -> list[Any]:
    """Every record that lies in `topic` now, by partition and offset."""
    # Not at the latest and then seek_to_beginning: a seek that meets the answer about the latest on its way is lost in
    # it (aiokafka's _update_fetch_positions), and the topic looks empty.
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, p) for p in (await _partitions(consumer, topic))]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[Any] = []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
        return records
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    await consumer._client.force_metadata_update()
    return sorted(consumer.partitions_for_topic(topic) or await _listed(consumer, topic))


async def _listed(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    consumer.subscribe([topic])
    await consumer._client.force_metadata_update()
    found = set(consumer.partitions_for_topic(topic) or ())
    consumer.unsubscribe()
    return found


def shown(database: Any, gallery: str) -> list[tuple[str, ...]]:
    """For each profile of the gallery, the videos it appears in, sorted."""
    profiles = [profile["_id"] for profile in database.profiles.find({"gallery": gallery})]
    return sorted(
        tuple(sorted(found["video_id"] for found in database.appearances.find({"profile_id": profile})))
        for profile in profiles
    )


def done(database: Any, gallery: str, count: int) -> bool:
    """Whether `count` tasks of the gallery are done."""
    return bool(database.tasks.count_documents({"gallery": gallery, "status": "done"}) == count)
