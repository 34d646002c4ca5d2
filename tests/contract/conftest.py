"""Each port twice: in memory, and on the real servers (marker `stack`). One suite holds both to the same behaviour."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import MongoClient, WriteConcern

from castlist.adapters import mongo, s3
from castlist.adapters.kafka import subscription
from castlist.adapters.kafka.eraser import KafkaEraser
from castlist.adapters.kafka.observer import KafkaObserver
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.kafka.topics import TopicSettings
from castlist.adapters.memory import MemoryDocuments, MemoryLog, MemoryObjects
from castlist.contract.topics import VIDEO_UPLOADED, Topic
from castlist.ports.documents import Documents
from castlist.ports.messages import Listened, LogEraser, LogObserver, Message, Publisher, Subscription
from castlist.ports.objects import Objects
from castlist.store.collections import COLLECTIONS
from castlist.store.store import Store

BOTH = ["memory", pytest.param("real", marks=pytest.mark.stack)]


@pytest.fixture(scope="session")
def database() -> Iterator[Any]:
    """A database with our collections and unique indexes; one for many tests, since making it is slow.

    Its client waits for no journal: that is for clearing it quickly.
    """
    name = f"contract-{uuid.uuid4().hex[:12]}"
    with MongoClient[dict[str, Any]](os.environ["MONGO_URL"], w=1, journal=False) as client:
        for collection in COLLECTIONS:
            made = client[name].create_collection(collection.name)
            for index in collection.indexes:
                if index.options.get("unique"):
                    made.create_index(list(index.keys), **index.options)
        yield client[name]
        client.drop_database(name)


@pytest.fixture(params=BOTH)
async def documents(request: pytest.FixtureRequest) -> AsyncIterator[Documents]:
    """An empty database."""
    if request.param == "memory":
        yield MemoryDocuments()
        return
    database = request.getfixturevalue("database")
    for collection in COLLECTIONS:
        database[collection.name].delete_many({})
    # What is read is what a majority has: this waits until it has all of the above.
    database.get_collection(COLLECTIONS[0].name, write_concern=WriteConcern("majority")).delete_many({})
    real = mongo.connect(os.environ["MONGO_URL"], database.name)
    yield real
    real.close()


@pytest.fixture
def store(documents: Documents) -> Store:
    """The same empty database, in records."""
    return Store(documents)


@dataclass
class Bucket:
    """Objects, and what the port does not show of them."""

    objects: Objects
    open_uploads: Callable[[], Awaitable[int]]
    put_elsewhere: Callable[[str, bytes], Awaitable[str]]
    """Puts an object into another bucket; returns that bucket."""


@pytest.fixture(scope="module")
def buckets() -> Iterator[tuple[str, str]]:
    """The names of two buckets of our own; for many tests, since making them is slow. They are gone afterwards."""
    mark = uuid.uuid4().hex[:12]
    names = f"contract-{mark}-a", f"contract-{mark}-b"
    yield names
    asyncio.run(_remove(names))


async def _remove(buckets: tuple[str, ...]) -> None:
    for bucket in buckets:
        async with _bucket(bucket) as objects:
            await objects.create_bucket()
            await objects.delete_prefix("")
            await objects._client.delete_bucket(Bucket=bucket)


def _bucket(name: str) -> AbstractAsyncContextManager[s3.S3Objects]:
    env = os.environ
    return s3.connect(env["S3_ENDPOINT"], name, env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"], "us-east-1")


@pytest.fixture(params=BOTH)
async def bucket(request: pytest.FixtureRequest) -> AsyncIterator[Bucket]:
    """An empty bucket."""
    if request.param == "memory":
        memory = MemoryObjects()

        async def uploads() -> int:
            return len(memory.uploads)

        async def elsewhere(key: str, data: bytes) -> str:
            memory.store(key, data, "text/plain", bucket="other")
            return "other"

        yield Bucket(memory, uploads, elsewhere)
        return
    own, other = request.getfixturevalue("buckets")
    async with _bucket(own) as real:
        await real.create_bucket()

        async def real_uploads() -> int:
            listed = await real._client.list_multipart_uploads(Bucket=own)
            return len(listed.get("Uploads", ()))

        async def real_elsewhere(key: str, data: bytes) -> str:
            async with _bucket(other) as beside:
                await beside.create_bucket()
                await beside.put(key, data, "text/plain")
            return str(other)

        yield Bucket(real, real_uploads, real_elsewhere)
        await real.abort_stale_uploads(-1)
        await real.delete_prefix("")


@dataclass
class Log:
    """Topics of one test's own, and how to write, join and listen."""

    topics: tuple[Topic, Topic]
    publisher: Publisher
    subscribe: Callable[..., AbstractAsyncContextManager[Subscription]]
    listen: Callable[[Topic], AbstractAsyncContextManager[Listened]]
    read: Callable[[str], Awaitable[list[Message]]]
    """All messages of a topic."""
    observer: LogObserver
    eraser: LogEraser


@pytest.fixture(params=BOTH)
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    """Two empty topics of four partitions, with their dead letters."""
    mark = uuid.uuid4().hex[:12]
    first, second = (_topic(f"contract.{name}.{mark}") for name in ("a", "b"))
    if request.param == "memory":
        memory = MemoryLog((first, second))

        async def lies(topic: str) -> list[Message]:
            return memory.messages(topic)

        yield Log((first, second), memory.publisher(), memory.subscribe, memory.listen, lies, memory, memory)
        return
    bootstrap = os.environ["KAFKA_BOOTSTRAP"]
    prefix = f"contract-{mark}-"
    names = [VIDEO_UPLOADED.name, *(name for topic in (first, second) for name in (topic.name, topic.dead))]
    await _administer(bootstrap, prefix, "create", names)
    publisher = KafkaPublisher(bootstrap, prefix)

    def subscribe(topics: list[Topic], group: str, member: str | None = None, **ahead: int) -> Any:
        return subscription.subscribe(bootstrap, prefix, topics, f"{group}-{mark}", member, **ahead)

    async def lies_there(topic: str) -> list[Message]:
        async with subscription.subscribe(bootstrap, prefix, [_topic(topic)], f"reader-{uuid.uuid4().hex}") as reader:
            found: list[Message] = []
            while (message := await reader.receive(8 if not found else 1)) is not None:
                found.append(message)
                await reader.commit(message)
            return found

    def listen(topic: Topic) -> Any:
        return subscription.listen(bootstrap, prefix, topic)

    observer = KafkaObserver(bootstrap, prefix)
    eraser = KafkaEraser(bootstrap, prefix)
    yield Log((first, second), publisher, subscribe, listen, lies_there, observer, eraser)
    await observer.close()
    await publisher.close()
    await _administer(bootstrap, prefix, "delete", names)


def _topic(name: str) -> Topic:
    return Topic(name, "test", str, (), 3600, 4, (), ())


async def _administer(bootstrap: str, prefix: str, what: str, names: list[str]) -> None:
    made = TopicSettings(chunk_partitions=16, prefix=prefix)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if what == "create":
            await admin.create_topics([made.new(name, 1 if name.endswith(".dead") else 4, 3600) for name in names])
        else:
            await admin.delete_topics([prefix + name for name in names])
    finally:
        await admin.close()
