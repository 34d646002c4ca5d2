"""An ingest of a test's own, in this process, on the stack's servers: with a database and a bucket of its own."""

import asyncio
import contextlib
import hashlib
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from castlist.adapters.s3 import S3Objects
from castlist.service.http_server import make_server
from castlist.store.query import ANY
from castlist.store.store import Store
from ingest.app import assembled
from ingest.settings import Settings
from testkit.eventually import eventually_async
from testkit.own_service import NOWHERE
from testkit.own_storage import own_bucket, own_store, unfinished_uploads
from testkit.running_stack import RunningStack

QUERY = "http://query.example"


@dataclass(frozen=True)
class OwnIngest:
    """A running ingest with its database and bucket, and a client for it."""

    url: str
    settings: Settings
    store: Store
    objects: S3Objects
    client: httpx2.AsyncClient

    async def upload(self, data: bytes, gallery: str, name: str = "lobby.mp4", **fields: str) -> httpx2.Response:
        """POST /videos with a file."""
        form = {"gallery": gallery, **fields}
        return await self.client.post("/videos", data=form, files={"file": (name, data)})

    async def announce(self, key: str, gallery: str, **said: Any) -> httpx2.Response:
        """POST /videos for an object in our bucket."""
        body = {"object": {"bucket": self.objects.bucket, "key": key}, "gallery": gallery, **said}
        return await self.client.post("/videos", json=body)

    async def left(self) -> tuple[int, int, int]:
        """How many objects, unfinished objects and recorded uploads there are."""
        objects, unfinished = await self.objects.list(""), await unfinished_uploads(self.objects)
        return len(objects), len(unfinished), await self.store.uploads.count()


@asynccontextmanager
async def own_ingest(stack: RunningStack, database: str, **changes: Any) -> AsyncIterator[OwnIngest]:
    """ingest on `database` and a bucket of its own. Kafka is away, unless it is given."""
    async with own_bucket(stack) as objects, own_store(stack, database) as store:
        given = {
            "kafka_bootstrap": NOWHERE,
            "mongo_url": stack.mongo_url,
            "mongo_database": database,
            "s3_endpoint": stack.s3_endpoint,
            "s3_bucket": objects.bucket,
            "query_url": QUERY,
        }
        settings = Settings(**{**given, **changes})
        await store.uploads.delete(ANY)  # of the tests before
        async with assembled(settings) as app:
            server = make_server(app, "127.0.0.1", 0)
            serving = asyncio.create_task(server.serve())
            await eventually_async(lambda: server.started, pause=0.01)
            url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
            try:
                async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
                    yield OwnIngest(url, settings, store, objects, client)
            finally:
                server.should_exit = True
                with contextlib.suppress(asyncio.CancelledError):
                    await serving


def video(size: int = 100_000, seed: int | None = None) -> bytes:
    """What ingest takes for a video: it looks at the first bytes only. Different every time, unless it has a seed."""
    noise = random.Random(seed if seed is not None else uuid.uuid4().int).randbytes(size)
    return b"\x00\x00\x00\x20ftypisom" + noise


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()
