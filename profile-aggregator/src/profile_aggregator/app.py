"""profile-aggregator: from face encodings to profiles.

Reads top-down as the pipeline; only this module constructs adapters.
"""

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from typing import Any, cast

from starlette.applications import Starlette

from castlist import admin
from castlist.adapters import mongo, s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.clock import now_utc
from castlist.contract import commands, events
from castlist.contract.topics import FACE_ENCODINGS, GALLERY_COMMITS, VIDEO_CONTROL, VIDEO_UPLOADED, Topic
from castlist.ports.documents import Documents
from castlist.ports.errors import Unavailable
from castlist.service.health import health_routes
from castlist.service.http_server import make_server
from castlist.service.problems import EXCEPTION_HANDLERS
from profile_aggregator.commits.background import Background
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import Galleries
from profile_aggregator.reconciler import Reconciler
from profile_aggregator.settings import Settings
from profile_aggregator.stream import lifecycle
from profile_aggregator.stream.agent_loop import EXIT_TOPICS_LOST, Handle, Progress, consume
from profile_aggregator.stream.faust_app import faust_app
from profile_aggregator.videos.handlers import Videos

log = logging.getLogger(__name__)
_RECONCILE_EVERY = 2.0


def wiring(videos: Videos, committer: Committer) -> list[tuple[Topic, Handle]]:
    """Which topic leads to which step."""

    async def uploaded(event: events.Event) -> None:
        await videos.uploaded(cast("events.VideoUploaded", event))

    async def encodings(event: events.Event) -> None:
        match event:
            case events.VideoPlanned():
                await videos.planned(event)
            case events.FacesEncoded():
                await videos.encoded(event)
            case events.ChunkProgressed():
                await videos.progressed(event)
            case events.ChunkFailed():
                await videos.chunk_failed(event)
            case events.VideoRejected():
                await videos.rejected(event)

    async def commits(event: events.Event) -> None:
        match event:
            case events.VideoPeopleFound():
                await committer.commit(event.gallery)
            case commands.RenameProfile() | commands.DeleteVideo() | commands.ChangeSettings():
                await committer.stage(event)
                await committer.commit(event.gallery)

    async def control(event: events.Event) -> None:
        await videos.cancelled(cast("commands.CancelVideo", event))

    return [
        (VIDEO_UPLOADED, uploaded),
        (FACE_ENCODINGS, encodings),
        (GALLERY_COMMITS, commits),
        (VIDEO_CONTROL, control),
    ]


async def reconcile_for_ever(reconciler: Reconciler, settings: Settings, documents: Documents) -> None:
    """Every few seconds, whatever happens; and notice when Kafka comes back without its data."""
    while True:
        await asyncio.sleep(_RECONCILE_EVERY)
        try:
            if created := await admin.ensure_topics(settings, documents):
                log.error("Kafka has lost topics", extra={"topics": created})
                os._exit(EXIT_TOPICS_LOST)  # positions in the old ones mean nothing in the new ones
            await reconciler.run()
        except Unavailable as error:
            log.warning("cannot reconcile now", extra={"reason": str(error)[:200]})
        except Exception:
            log.exception("cannot reconcile")


async def main(settings: Settings) -> None:
    """Run until told to stop; ends the process itself."""
    async with AsyncExitStack() as stack:
        documents = mongo.connect(settings.mongo_url, settings.mongo_database)
        publisher = KafkaPublisher(settings.kafka_bootstrap)
        objects = await stack.enter_async_context(s3.connect(*settings.s3))
        progress = Progress()
        galleries = Galleries(documents)
        committer = Committer(documents, objects, publisher, galleries, now_utc, settings.commit_batch)
        videos = Videos(documents, objects, publisher, now_utc)
        behind = Background(documents, galleries, committer, now_utc)
        reconciler = Reconciler(documents, objects, publisher, videos, committer, now_utc, settings.reannounce_after)

        await lifecycle.wait_until_up(documents)
        app = faust_app(settings, await admin.creations(documents))
        for topic, handle in wiring(videos, committer):
            add_agent(app, topic, handle, publisher, progress)

        async def assigned() -> None:
            if not app.consumer or not app.consumer.assignment():
                raise Unavailable("no partitions assigned yet")

        checks = {"kafka": publisher.ping, "mongodb": documents.ping, "s3": objects.ping, "faust": assigned}
        health = make_server(
            Starlette(routes=health_routes(checks), exception_handlers=EXCEPTION_HANDLERS),
            settings.bind_host,
            settings.aggregator_port,
            install_signals=False,
        )
        await lifecycle.own(documents, settings.aggregator_instance)
        background: list[asyncio.Task[None]] = []

        async def ready() -> None:
            background.append(asyncio.create_task(health.serve()))
            background.append(asyncio.create_task(reconcile_for_ever(reconciler, settings, documents)))
            background.append(asyncio.create_task(behind.for_ever()))
            background.append(
                asyncio.create_task(lifecycle.watchdog(app, documents, settings.aggregator_instance, progress))
            )
            log.info("ready")

        await lifecycle.run(app, progress, ready)


def add_agent(app: Any, topic: Topic, handle: Handle, publisher: KafkaPublisher, progress: Progress) -> None:
    """One agent with one actor: more would commit past messages in flight."""
    source = app.topic(topic.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def agent(stream: Any) -> None:
        await consume(stream, topic, handle, publisher, progress)

    app.agent(source, name=f"castlist.{topic.name}", concurrency=1)(agent)
