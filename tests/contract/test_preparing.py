"""What `castlist.admin init` makes on the servers: by several at once, and again, without harm."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.topics import TopicSettings, create_topics, topics_missing
from castlist.clock import now_utc
from castlist.contract.topics import TOPICS
from castlist.ports.errors import UnavailableError
from castlist.store import collections, migrations
from castlist.store.collections import COLLECTIONS
from testkit.eventually import eventually_async

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


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    """Of topics of a test's own."""
    prefix = f"contract-{uuid.uuid4().hex[:8]}-"
    yield prefix
    async with administration() as admin:
        await admin.delete_topics([name for name in await admin.list_topics() if name.startswith(prefix)])


@asynccontextmanager
async def administration() -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"])
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def have_partitions(prefix: str, expected: dict[str, int]) -> None:
    """Wait until the declared topics and their dead letters have so many: brokers learn of them a little later."""
    seen: dict[str, int] = {}

    async def have() -> bool:
        async with administration() as admin:
            described = await admin.describe_topics([prefix + name for name in expected])
        seen.update({one["topic"].removeprefix(prefix): len(one["partitions"]) for one in described})
        return seen == expected

    await eventually_async(have, showing=lambda: seen)


DECLARED = {**{topic.name: topic.partitions for topic in TOPICS}, **{topic.dead: 1 for topic in TOPICS}}


async def test_topics_are_as_declared(prefix: str) -> None:
    """Each has its partitions, and its dead letters one; several may make them at once, and again."""
    bootstrap, settings = os.environ["KAFKA_BOOTSTRAP"], TopicSettings(chunk_partitions=16, prefix=prefix)
    assert sorted(await topics_missing(bootstrap, settings)) == sorted(prefix + name for name in DECLARED)
    await asyncio.gather(*(create_topics(bootstrap, settings) for _ in range(AT_ONCE)))
    assert await create_topics(bootstrap, settings) == await topics_missing(bootstrap, settings) == []
    await have_partitions(prefix, DECLARED)


async def test_chunks_get_more_partitions_when_more_slots_are_to_have_them(prefix: str) -> None:
    """At the next start, and never fewer. Others keep theirs, whatever is declared: their keys stay in order."""
    bootstrap = os.environ["KAFKA_BOOTSTRAP"]
    few, many = (TopicSettings(chunk_partitions=number, prefix=prefix) for number in (4, 24))
    await create_topics(bootstrap, few)
    await asyncio.gather(*(create_topics(bootstrap, many) for _ in range(AT_ONCE)))
    await create_topics(bootstrap, few)
    await have_partitions(prefix, {**DECLARED, "video.chunks": 24})
    assert [topic.name for topic in TOPICS if not topic.ordered] == ["video.chunks"]


async def test_a_topic_is_kept_by_as_many_brokers_as_is_set(prefix: str) -> None:
    """One broker cannot keep three copies: that is said, and nothing is made with fewer."""
    settings = TopicSettings(chunk_partitions=4, prefix=prefix, replicas=3, min_insync=2)
    assert {(new.replication_factor, new.topic_configs["min.insync.replicas"]) for new in settings.wanted()} == {
        (3, "2")
    }
    with pytest.raises(UnavailableError, match="InvalidReplicationFactor"):
        await create_topics(os.environ["KAFKA_BOOTSTRAP"], settings)
