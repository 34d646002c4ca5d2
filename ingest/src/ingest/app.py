"""ingest: HTTP upload → S3 → `video.uploaded`. Only this module constructs adapters."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.clock import now_utc
from castlist.contract.topics import VIDEO_CONTROL, VIDEO_UPLOADED
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.service.http_server import make_server
from castlist.service.openapi import Api, openapi
from castlist.service.operations import application
from castlist.service.periodic import every, in_background
from castlist.store.store import Store
from ingest.acceptance import Acceptance
from ingest.endpoints.tasks import Tasks
from ingest.endpoints.videos import Videos
from ingest.settings import Settings
from ingest.upload_stream import Uploads
from ingest.upload_sweeper import SWEEP_EVERY, sweep_uploads

API = Api(
    title="Castlist ingest",
    about="Puts videos in: upload one, or announce one that is in S3 already. Its people are shown by query-api.",
    tags={
        "videos": "Videos put in: uploaded, or announced where they are in S3 already.",
        "tasks": "Stopping the work on a video, and doing it again.",
    },
    endpoints=(Videos, Tasks),
)


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[Starlette]:
    """ingest, with what it does beside answering, while inside."""
    async with AsyncExitStack() as stack:
        documents = mongo.connect(settings.mongo_url, settings.database)
        stack.callback(documents.close)
        publisher = KafkaPublisher(settings.kafka_bootstrap, settings.castlist_prefix)
        stack.push_async_callback(publisher.close)
        objects = await stack.enter_async_context(s3.connect(*settings.s3))

        store = Store(documents)
        relay = OutboxRelay(store, publisher, now_utc, [VIDEO_UPLOADED, VIDEO_CONTROL])
        uploads = Uploads(store, objects, now_utc, settings.max_upload_bytes)
        acceptance = Acceptance(store, now_utc)
        videos = Videos(settings, objects, uploads, acceptance, relay)
        tasks = Tasks(store, acceptance, relay, settings.public_query_url)
        # Kafka is not among them: ingest accepts without it.
        ready = {"mongodb": documents.ping, "s3": objects.ping}

        async def sweep() -> None:
            await sweep_uploads(store, objects, now_utc())

        await stack.enter_async_context(in_background(relay.run(), every(SWEEP_EVERY, sweep, "upload_sweeper")))
        yield application(openapi(API), (videos, tasks), ready, settings.hosts, settings.origins)


async def run(settings: Settings) -> None:
    """Serve until told to stop."""
    async with assembled(settings) as app:
        await make_server(app, settings.bind_host, settings.ingest_port).serve()
