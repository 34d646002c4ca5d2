"""An installation of a test's own, on the stack's servers."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pymongo
from aiokafka.admin import AIOKafkaAdminClient

from castlist import admin
from castlist.adapters import mongo, s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.service.settings import Settings
from castlist.store.store import Store
from testkit.own_storage import remove_bucket
from testkit.running_stack import RunningStack


@contextmanager
def installation(stack: RunningStack) -> Iterator[Settings]:
    """Topics, a database and a bucket beside the stack's own, on its servers; gone afterwards."""
    settings = Settings(castlist_prefix=f"test-{uuid.uuid4().hex[:8]}-", chunk_partitions=4)
    asyncio.run(admin.init(settings))
    yield settings
    asyncio.run(_remove(settings))
    with pymongo.MongoClient[dict[str, Any]](stack.mongo_url) as client:
        client.drop_database(settings.database)


async def _remove(settings: Settings) -> None:
    async with s3.connect(*settings.s3) as objects:
        await remove_bucket(objects)
    kafka = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await kafka.start()
    try:
        names = [name for name in await kafka.list_topics() if name.startswith(settings.castlist_prefix)]
        await kafka.delete_topics(names)
    finally:
        await kafka.close()


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[tuple[Store, KafkaPublisher]]:
    """The installation's collections and a publisher to its topics."""
    documents = mongo.connect(settings.mongo_url, settings.database)
    publisher = KafkaPublisher(settings.kafka_bootstrap, settings.castlist_prefix)
    try:
        yield Store(documents), publisher
    finally:
        await publisher.close()
        documents.close()
