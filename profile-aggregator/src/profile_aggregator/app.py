"""profile-aggregator: from face encodings to profiles.

Reads top-down as the pipeline; only this module constructs adapters.
"""

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from typing import Any, cast

import faust
from starlette.applications import Starlette

from castlist import admin, events, http, kafka, mongo, s3
from castlist.ports import Documents, Unavailable
from castlist.topics import FACE_ENCODINGS, GALLERY_COMMITS, VIDEO_CONTROL, VIDEO_UPLOADED, Topic
from profile_aggregator import lifecycle
from profile_aggregator.background import Background
from profile_aggregator.commit import Committer
from profile_aggregator.consuming import EXIT_TOPICS_LOST, Handle, Progress, consume
from profile_aggregator.galleries import Galleries
from profile_aggregator.reconcile import Reconciler
from profile_aggregator.settings import Settings
from profile_aggregator.videos import Videos

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
            case events.RenameProfile() | events.DeleteVideo() | events.ChangeSettings():
                await committer.stage(event)
                await committer.commit(event.gallery)

    async def control(event: events.Event) -> None:
        await videos.cancelled(cast("events.CancelVideo", event))

    return [
        (VIDEO_UPLOADED, uploaded),
        (FACE_ENCODINGS, encodings),
        (GALLERY_COMMITS, commits),
        (VIDEO_CONTROL, control),
    ]


def faust_app(settings: Settings, creations: int) -> Any:
    """Faust as transport only: at least once, no tables, no topics or servers of its own.

    A static member that comes back gets the partitions it had. In a Kafka that has lost its data that may be none: it
    joined before the topics were there again. So `creations` of topics are part of who it is.
    """
    brokers = [f"kafka://{address}" for address in settings.kafka_bootstrap.split(",")]
    return faust.App(
        "castlist-aggregator",
        broker=brokers,
        datadir=settings.castlist_home / "faust",
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"castlist-aggregator-{settings.aggregator_instance}-{creations}",
        agent_supervisor="mode.CrashingSupervisor",
        processing_guarantee="at_least_once",
        broker_commit_interval=1,
        broker_commit_every=100,
        broker_max_poll_records=25,
        broker_session_timeout=settings.aggregator_session_timeout,
        broker_heartbeat_interval=2,
        broker_request_timeout=90,
        stream_buffer_maxsize=1024,
        # On a rebalance, do not wait for what is in hand: it may wait for the rebalance. Redone, it is a no-op.
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
    )


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
        publisher = kafka.KafkaPublisher(settings.kafka_bootstrap)
        objects = await stack.enter_async_context(s3.connect(*settings.s3))
        progress = Progress()
        galleries = Galleries(documents)
        committer = Committer(documents, objects, publisher, galleries, events.now_utc, settings.commit_batch)
        videos = Videos(documents, objects, publisher, events.now_utc)
        behind = Background(documents, galleries, committer, events.now_utc)
        reconciler = Reconciler(
            documents, objects, publisher, videos, committer, events.now_utc, settings.reannounce_after
        )

        await lifecycle.wait_until_up(documents)
        app = faust_app(settings, await admin.creations(documents))
        for topic, handle in wiring(videos, committer):
            add_agent(app, topic, handle, publisher, progress)

        async def assigned() -> None:
            if not app.consumer or not app.consumer.assignment():
                raise Unavailable("no partitions assigned yet")

        checks = {"kafka": publisher.ping, "mongodb": documents.ping, "s3": objects.ping, "faust": assigned}
        health = http.server(
            Starlette(routes=http.health_routes(checks), exception_handlers=http.EXCEPTION_HANDLERS),
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


def add_agent(app: Any, topic: Topic, handle: Handle, publisher: kafka.KafkaPublisher, progress: Progress) -> None:
    """One agent with one actor: more would commit past messages in flight."""
    source = app.topic(topic.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def agent(stream: Any) -> None:
        await consume(stream, topic, handle, publisher, progress)

    app.agent(source, name=f"castlist.{topic.name}", concurrency=1)(agent)
