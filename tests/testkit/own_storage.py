"""A database and a bucket of a test's own, on the stack's servers."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pymongo

from castlist.adapters import mongo, s3
from castlist.adapters.s3 import S3Objects
from castlist.service.settings import Settings
from castlist.store import collections
from castlist.store.store import Store
from testkit.running_stack import RunningStack


@contextmanager
def own_database(stack: RunningStack, purpose: str) -> Iterator[str]:
    """The name of a database with our indexes, dropped afterwards."""
    name = f"castlist-test-{purpose}-{uuid.uuid4().hex[:8]}"

    async def create() -> None:
        documents = mongo.connect(stack.mongo_url, name)
        await collections.create(documents)
        documents.close()

    asyncio.run(create())
    yield name
    with pymongo.MongoClient[dict[str, Any]](stack.mongo_url) as client:
        client.drop_database(name)


@asynccontextmanager
async def own_store(stack: RunningStack, database: str) -> AsyncIterator[Store]:
    """The collections of a database."""
    documents = mongo.connect(stack.mongo_url, database)
    try:
        yield Store(documents)
    finally:
        documents.close()


@asynccontextmanager
async def own_bucket(stack: RunningStack) -> AsyncIterator[S3Objects]:
    """A bucket of its own, removed afterwards with what is in it."""
    settings = Settings(s3_endpoint=stack.s3_endpoint, s3_bucket=f"test-{uuid.uuid4().hex[:12]}")
    async with s3.connect(*settings.s3) as objects:
        await objects.create_bucket()
        try:
            yield objects
        finally:
            await remove_bucket(objects)


async def remove_bucket(objects: S3Objects) -> None:
    """With what is in it."""
    await objects.abort_stale_uploads(-1)
    await objects.delete_prefix("")
    await objects._client.delete_bucket(Bucket=objects.bucket)


async def unfinished_uploads(objects: S3Objects) -> list[dict[str, Any]]:
    """The multipart uploads that are under way in the bucket."""
    listed = await objects._client.list_multipart_uploads(Bucket=objects.bucket)
    return list(listed.get("Uploads", ()))
