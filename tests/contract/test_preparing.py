"""What `castlist.admin init` makes on the servers: by several at once, and again, without harm."""

import asyncio
import os
import uuid

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.topics import create_topics
from castlist.clock import now_utc
from castlist.contract.topics import TOPICS
from castlist.store import collections, migrations
from castlist.store.collections import COLLECTIONS

pytestmark = pytest.mark.stack
AT_ONCE = 4


async def test_collections_indexes_and_migrations_are_made_by_several_at_once() -> None:
    """None of them fails over what another just made; everything that is declared is there."""
    name = f"contract-{uuid.uuid4().hex[:12]}"
    databases = [mongo.connect(os.environ["MONGO_URL"], name) for _ in range(AT_ONCE)]
    try:
        for _ in range(2):
            await asyncio.gather(*(collections.create(one) for one in databases))
            await asyncio.gather(*(migrations.migrate(one, now_utc()) for one in databases))
        database = databases[0].database
        assert {collection.name for collection in COLLECTIONS} <= set(await database.list_collection_names())
        for collection in COLLECTIONS:
            there = (await database[collection.name].index_information()).values()
            for index in collection.indexes:
                assert any(tuple(one["key"]) == index.keys for one in there), index
    finally:
        await databases[0].database.client.drop_database(name)
        for one in databases:
            one.close()


async def test_the_bucket_is_made_by_several_at_once() -> None:
    """The same: it is there, and no call failed."""
    access = os.environ["S3_ACCESS_KEY"], os.environ["S3_SECRET_KEY"], "us-east-1"
    async with s3.connect(os.environ["S3_ENDPOINT"], f"contract-{uuid.uuid4().hex[:12]}", *access) as objects:
        for _ in range(2):
            await asyncio.gather(*(objects.create_bucket() for _ in range(AT_ONCE)))
        await objects.ping()
        await objects._client.delete_bucket(Bucket=objects.bucket)


async def test_topics_are_as_declared() -> None:
    """Each has its partitions, and its dead letters one; making them again makes nothing."""
    bootstrap = os.environ["KAFKA_BOOTSTRAP"]
    await create_topics(bootstrap, chunk_partitions=16)
    assert await create_topics(bootstrap, chunk_partitions=16) == []
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = [name for topic in TOPICS for name in (topic.name, topic.dead)]
        found = {one["topic"]: len(one["partitions"]) for one in await admin.describe_topics(names)}
    finally:
        await admin.close()
    chunks = found.pop("video.chunks")
    assert chunks >= 1  # CHUNK_PARTITIONS of the process that made it
    assert found == {
        **{topic.name: topic.partitions for topic in TOPICS if topic.name != "video.chunks"},
        **{topic.dead: 1 for topic in TOPICS},
    }
