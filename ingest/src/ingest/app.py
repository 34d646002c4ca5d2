"""ingest: HTTP upload → S3 → `video.uploaded`. Only this module constructs adapters."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.clock import now_utc
from castlist.service import operations
from castlist.service.health import health_routes
from castlist.service.http_server import make_server
from castlist.service.problems import EXCEPTION_HANDLERS
from ingest.acceptance import Acceptance
from ingest.announcer import Announcer
from ingest.endpoints import Ingest
from ingest.settings import Settings
from ingest.upload_stream import Uploads
from ingest.upload_sweeper import sweep_for_ever

_ABOUT = "Puts videos in: upload one, or announce one that is in S3 already. Its people are shown by query-api."


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[Starlette]:
    """ingest, with what it does beside answering, while inside."""
    async with AsyncExitStack() as stack:
        documents = mongo.connect(settings.mongo_url, settings.mongo_database)
        stack.callback(documents.close)
        publisher = KafkaPublisher(settings.kafka_bootstrap)
        stack.push_async_callback(publisher.close)
        objects = await stack.enter_async_context(s3.connect(*settings.s3))
        uploads = Uploads(documents, objects, now_utc, settings.max_upload_bytes)
        acceptance = Acceptance(documents, now_utc)
        announcer = Announcer(documents, publisher, now_utc)
        ingest = Ingest(settings, documents, objects, uploads, acceptance, announcer)

        # Kafka is not among them: ingest accepts without it.
        health = health_routes({"mongodb": documents.ping, "s3": objects.ping})
        api = operations.routes("Castlist ingest", "1", _ABOUT, ingest.operations())

        await stack.enter_async_context(_beside(announcer.run()))
        await stack.enter_async_context(_beside(sweep_for_ever(documents, objects, now_utc)))
        yield Starlette(routes=[*api, *health], exception_handlers=EXCEPTION_HANDLERS)


@asynccontextmanager
async def _beside(loop: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def run(settings: Settings) -> None:
    """Serve until told to stop."""
    async with assembled(settings) as app:
        await make_server(app, settings.bind_host, settings.ingest_port).serve()
