"""An ingest of one's own, in this process, on the stack's servers: a database and a bucket that nobody else uses."""

import asyncio
import contextlib
import hashlib
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pymongo

from castlist.adapters import mongo, s3
from castlist.adapters.mongo import MongoDocuments
from castlist.adapters.s3 import S3Objects
from castlist.service.http_server import make_server
from castlist.store import collections
from conftest import RunningStack
from ingest.app import assembled
from ingest.settings import Settings

NOWHERE = "127.0.0.1:1"
QUERY = "http://query.example"


@contextmanager
def own_database(stack: RunningStack) -> Iterator[str]:
    """A database with our indexes, dropped afterwards."""
    name = f"ingest_{uuid.uuid4().hex[:12]}"

    async def create() -> None:
        documents = mongo.connect(stack.mongo_url, name)
        await collections.create(documents)
        documents.close()

    asyncio.run(create())
    yield name
    with pymongo.MongoClient[dict[str, Any]](stack.mongo_url) as client:
        client.drop_database(name)


@asynccontextmanager
async def own_bucket(stack: RunningStack) -> AsyncIterator[S3Objects]:
    """A bucket of its own, removed afterwards with what is in it."""
    shared = Settings(s3_endpoint=stack.s3_endpoint)
    name = f"ingest-{uuid.uuid4().hex[:12]}"
    async with s3.connect(
        stack.s3_endpoint, name, shared.s3_access_key, shared.s3_secret_key, shared.s3_region
    ) as objects:
        await objects.create_bucket()
        try:
            yield objects
        finally:
            for upload in await parts(objects):
                await objects._client.abort_multipart_upload(
                    Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"]
                )
            await objects.delete_prefix("")
            await objects._client.delete_bucket(Bucket=name)


async def parts(objects: S3Objects) -> list[dict[str, Any]]:
    """The multipart uploads that are under way in the bucket."""
    listed = await objects._client.list_multipart_uploads(Bucket=objects.bucket)
    return list(listed.get("Uploads", ()))


@dataclass(frozen=True)
class Ingesting:
    """A running ingest with its database and bucket, and a client for it."""

    url: str
    settings: Settings
    documents: MongoDocuments
    objects: S3Objects
    client: httpx.AsyncClient

    async def upload(self, data: bytes, gallery: str, name: str = "lobby.mp4", **fields: str) -> httpx.Response:
        """POST /videos with a file."""
        form = {"gallery": gallery, **fields}
        return await self.client.post("/videos", data=form, files={"file": (name, data)})

    async def announce(self, key: str, gallery: str, **said: Any) -> httpx.Response:
        """POST /videos for an object in our bucket."""
        body = {"object": {"bucket": self.objects.bucket, "key": key}, "gallery": gallery, **said}
        return await self.client.post("/videos", json=body)

    async def left(self) -> tuple[int, int, int]:
        """How many objects, unfinished objects and recorded uploads there are."""
        objects, unfinished = await self.objects.list(""), await parts(self.objects)
        return len(objects), len(unfinished), await self.documents.count(collections.UPLOADS, {})


@asynccontextmanager
async def ingesting(stack: RunningStack, database: str, **changes: Any) -> AsyncIterator[Ingesting]:
    """ingest on `database` and a bucket of its own. Kafka is away, unless it is given."""
    async with own_bucket(stack) as objects:
        given = {
            "kafka_bootstrap": NOWHERE,
            "mongo_url": stack.mongo_url,
            "mongo_database": database,
            "s3_endpoint": stack.s3_endpoint,
            "s3_bucket": objects.bucket,
            "query_url": QUERY,
        }
        settings = Settings(**{**given, **changes})
        documents = mongo.connect(stack.mongo_url, database)
        await documents.delete(collections.UPLOADS, {})  # of the tests before
        async with assembled(settings) as app:
            server = make_server(app, "127.0.0.1", 0)
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}"
            try:
                async with httpx.AsyncClient(base_url=url, timeout=60) as client:
                    yield Ingesting(url, settings, documents, objects, client)
            finally:
                server.should_exit = True
                with contextlib.suppress(asyncio.CancelledError):
                    await serving
        documents.close()


async def until(check: Callable[[], Awaitable[Any]], patience: float = 30.0) -> None:
    """Wait until what `check` gives is true; fails after `patience` seconds."""
    async with asyncio.timeout(patience):
        while not await check():  # noqa: ASYNC110 - servers tell nobody
            await asyncio.sleep(0.02)


def video(size: int = 100_000, seed: int | None = None) -> bytes:
    """What ingest takes for a video: it looks at the first bytes only. Different every time, unless it has a seed."""
    noise = random.Random(seed if seed is not None else uuid.uuid4().int).randbytes(size)
    return b"\x00\x00\x00\x20ftypisom" + noise


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()
