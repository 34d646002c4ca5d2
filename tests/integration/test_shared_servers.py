"""An installation beside another one on the same Kafka and MongoDB, and an aggregator of its own on them."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from castlist.contract.topics import FACE_ENCODINGS, GALLERY_COMMITS
from castlist.service.settings import Settings
from profile_aggregator.stream.faust_app import GROUP
from testkit.database import Database, are_done, connect
from testkit.eventually import eventually_async
from testkit.own_installation import connected, installation
from testkit.own_service import OwnService, own_service
from testkit.running_stack import RunningStack, whole_topic
from testkit.synthetic import SyntheticVideo, submit

pytestmark = pytest.mark.stack


def aggregator(settings: Settings) -> Any:
    """Its process, with nothing else than the prefix to tell it from another."""
    return own_service("profile_aggregator", "AGGREGATOR_PORT", CASTLIST_PREFIX=settings.castlist_prefix)


async def commits(settings: Settings, gallery: str, videos: int, own: Database) -> None:
    """Submit so many videos, and wait until they are done."""
    async with connected(settings) as (store, publisher):
        for number in range(videos):
            await submit(store, publisher, SyntheticVideo(f"{gallery}-{number}", gallery, [[1, 2], [number]]))
    await eventually_async(lambda: are_done(own, gallery, videos))


def test_installations_on_the_same_servers_do_not_meet(stack: RunningStack, database: Database) -> None:
    """With a prefix of its own, one takes nothing of the other's topics, groups and collections."""
    with installation(stack) as settings, aggregator(settings):
        own = connect(stack.mongo_url, settings.database)
        asyncio.run(commits(settings, "shared", 3, own))
        own.client.close()
        for topic in (FACE_ENCODINGS, GALLERY_COMMITS):
            assert asyncio.run(whole_topic(stack, settings.castlist_prefix + topic.name))
    assert database.tasks.count_documents({"gallery": "shared"}) == 0
    for topic in (FACE_ENCODINGS, GALLERY_COMMITS):
        values = [record.value or b"" for record in asyncio.run(whole_topic(stack, topic.name))]
        assert not [value for value in values if b'"shared' in value]


def test_offsets_of_a_lost_log_do_not_deafen_the_aggregator(stack: RunningStack) -> None:
    """What its group has committed lies behind the end of every partition: all of them are read from the beginning."""
    with installation(stack) as settings:
        asyncio.run(_commit_far_beyond(settings))
        with aggregator(settings) as service:
            own = connect(stack.mongo_url, settings.database)
            asyncio.run(commits(settings, "lost", 3, own))
            own.client.close()
            alive(service)
        assert asyncio.run(_committed(settings)) < 1000


def alive(service: OwnService) -> None:
    """It was not started again, and has not ended."""
    assert service.process.poll() is None


async def _commit_far_beyond(settings: Settings) -> None:
    names = [settings.castlist_prefix + topic.name for topic in (FACE_ENCODINGS, GALLERY_COMMITS)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=settings.castlist_prefix + GROUP,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(name, number) for name in names for number in range(4)]
        consumer.assign(partitions)
        await consumer.commit(dict.fromkeys(partitions, 5000))
    finally:
        await consumer.stop()


async def _committed(settings: Settings) -> int:
    kafka = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await kafka.start()
    try:
        found = await kafka.list_consumer_group_offsets(settings.castlist_prefix + GROUP)
    finally:
        await kafka.close()
    return min(int(one.offset) for tp, one in found.items() if tp.topic.endswith(GALLERY_COMMITS.name))
