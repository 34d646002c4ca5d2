"""ingest: HTTP upload → S3 → `video.uploaded`. Only this module constructs adapters."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from castlist import http, kafka, mongo, openapi, s3
from castlist.events import now_utc
from ingest.accept import Acceptance
from ingest.announcer import Announcer
from ingest.endpoints import Ingest
from ingest.settings import Settings
from ingest.sweeper import sweep_for_ever
from ingest.upload import Uploads

_ABOUT = "Puts videos in: upload one, or announce one that is in S3 already. Its people are shown by query-api."


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[Starlette]:
    """ingest, with what it does beside answering, while inside."""
    async with AsyncExitStack() as stack:
        documents = mongo.connect(settings.mongo_url, settings.mongo_database)
        stack.callback(documents.close)
        publisher = kafka.KafkaPublisher(settings.kafka_bootstrap)
        stack.push_async_callback(publisher.close)
        objects = await stack.enter_async_context(s3.connect(*settings.s3))
        uploads = Uploads(documents, objects, now_utc, settings.max_upload_bytes)
        acceptance = Acceptance(documents, now_utc)
        announcer = Announcer(documents, publisher, now_utc)
        ingest = Ingest(settings, documents, objects, uploads, acceptance, announcer)

        # Kafka is not among them: ingest accepts without it.
        health = http.health_routes({"mongodb": documents.ping, "s3": objects.ping})
        api = openapi.routes("Castlist ingest", "1", _ABOUT, ingest.operations())

        await stack.enter_async_context(_beside(announcer.run()))
        await stack.enter_async_context(_beside(sweep_for_ever(documents, objects, now_utc)))
        yield Starlette(routes=[*api, *health], exception_handlers=http.EXCEPTION_HANDLERS)


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
        await http.server(app, settings.bind_host, settings.ingest_port).serve()
