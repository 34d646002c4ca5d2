"""profile-aggregator: from face encodings to profiles.

Reads top-down as the pipeline; only this module constructs adapters.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial

from starlette.applications import Starlette

from castlist import admin
from castlist.adapters import mongo, s3
from castlist.adapters.kafka.eraser import KafkaEraser
from castlist.adapters.kafka.observer import KafkaObserver
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.clock import now_utc
from castlist.contract.topics import (
    FACE_ENCODINGS,
    GALLERY_COMMITS,
    PROFILE_EVENTS,
    VIDEO_CONTROL,
    VIDEO_UPLOADED,
)
from castlist.messaging.liveness import Watchdog
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Partition, ReadPosition
from castlist.retry import retry_while_unavailable
from castlist.service.health import health_routes
from castlist.service.http_server import make_server
from castlist.service.periodic import every
from castlist.service.problems import EXCEPTION_HANDLERS
from castlist.store import kafka_topics
from castlist.store.store import Store
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import PUBLISH_EVERY, GalleryLog
from profile_aggregator.commits.maintenance import PAUSE, GalleryMaintenance
from profile_aggregator.commits.previews import TAKE_OVER_EVERY, Previews
from profile_aggregator.deletion.erasures import ERASE_EVERY, Erasures
from profile_aggregator.deletion.removals import REMOVE_EVERY, Removals
from profile_aggregator.dispatch import Dispatch
from profile_aggregator.gallery_retention import RETAIN_EVERY, GalleryRetention
from profile_aggregator.imports.imports import SWEEP_EVERY, Imports
from profile_aggregator.reconciler import RECONCILE_EVERY, Reconciler
from profile_aggregator.retention import CLEAR_EVERY, Retention
from profile_aggregator.settings import Settings
from profile_aggregator.stream import faust_app, lifecycle
from profile_aggregator.stream.agent_loop import AgentState, consume
from profile_aggregator.turns import Turns
from profile_aggregator.videos.handlers import VideoHandlers

log = logging.getLogger(__name__)
TOPICS = (VIDEO_UPLOADED, FACE_ENCODINGS, GALLERY_COMMITS, VIDEO_CONTROL)
_OUTBOX = (PROFILE_EVENTS, GALLERY_COMMITS, VIDEO_UPLOADED, VIDEO_CONTROL)
_WATCH_EVERY = 1.0


async def main(settings: Settings) -> None:
    """Run until told to stop; ends the process itself."""
    async with AsyncExitStack() as stack:
        documents = mongo.connect(settings.mongo_url, settings.database)
        kafka = settings.kafka_bootstrap, settings.castlist_prefix
        publisher, observer = KafkaPublisher(*kafka), KafkaObserver(*kafka)
        objects = await stack.enter_async_context(s3.connect(*settings.s3))

        store = Store(documents)
        relay = OutboxRelay(store, publisher, now_utc, _OUTBOX)
        galleries, said = GalleryCache(store), GalleryLog(store, publisher, now_utc)
        committer = Committer(
            store, said, galleries, now_utc, settings.commit_batch, lambda gallery: importing.ring(gallery)
        )
        imports = Imports(store, objects, galleries, committer, now_utc)
        importing = Turns(imports.take, "imports")
        videos = VideoHandlers(store, objects, publisher, now_utc)
        maintenance = GalleryMaintenance(store, galleries, committer, now_utc)
        turns, removals = Turns(committer.commit), Removals(store, objects)
        after = settings.reannounce_after
        reconciler = Reconciler(store, publisher, relay, videos, turns.ring, now_utc, after)

        await retry_while_unavailable(admin.ensure_topics)(settings, store)
        topics = await retry_while_unavailable(kafka_topics.known)(store)
        app, state = faust_app.make_app(settings, topics.created), AgentState()
        previews = Previews(store, galleries, now_utc)
        dispatch = Dispatch(videos, committer, turns, previews.turns)

        for topic in TOPICS:
            loop = partial(consume, topic=topic, handler=dispatch, publisher=publisher, state=state)
            faust_app.add_agent(app, settings.castlist_prefix, topic, loop)

        async def assigned() -> None:
            if not faust_app.has_partitions(app):
                raise UnavailableError("no partitions assigned yet")

        async def servers() -> None:
            await asyncio.gather(publisher.ping(), documents.ping(), objects.ping())

        async def positions() -> Mapping[Partition, ReadPosition]:
            if faust_app.has_partitions(app):
                return faust_app.positions(app, settings.castlist_prefix, state.liveness.is_at_work)
            found = await observer.acknowledged(faust_app.GROUP, TOPICS)
            return {partition: ReadPosition(offset) for partition, offset in found.items()}

        async def reconcile() -> None:
            if missing := await admin.missing_topics(settings):
                lifecycle.leave_lost_log(missing)
            await reconciler.run()

        async def ensure_ours() -> None:
            await lifecycle.ensure_ours(store, settings.aggregator_instance, topics.created)

        patience = lifecycle.PATIENCE
        groups = dict.fromkeys((topic.name for topic in TOPICS), faust_app.GROUP)
        watchdog = Watchdog(
            state.liveness, positions, observer, servers, groups=groups, idle_limit=patience, busy_limit=patience
        )
        checks = {
            "kafka": publisher.ping,
            "mongodb": documents.ping,
            "s3": objects.ping,
            "faust": assigned,
            "messages": watchdog.check,
        }
        health = make_server(
            Starlette(routes=health_routes(checks), exception_handlers=EXCEPTION_HANDLERS),
            settings.bind_host,
            settings.aggregator_port,
            install_signals=False,
        )
        await retry_while_unavailable(lifecycle.claim_instance)(store, settings.aggregator_instance)
        loops = (
            health.serve(),
            every(RECONCILE_EVERY, reconcile, "reconciler"),
            turns.run(),
            previews.turns.run(),
            every(TAKE_OVER_EVERY, previews.round, "previews"),
            importing.run(),
            every(SWEEP_EVERY, imports.sweep, "archives"),
            videos.long_videos.run(),
            every(CLEAR_EVERY, Retention(store, now_utc).round, "retention"),
            every(RETAIN_EVERY, GalleryRetention(store, turns.ring, now_utc).round, "gallery_retention"),
            every(PAUSE, maintenance.round, "maintenance"),
            every(PUBLISH_EVERY, said.round, "gallery_log"),
            every(REMOVE_EVERY, removals.round, "removals"),
            every(ERASE_EVERY, Erasures(store, objects, KafkaEraser(*kafka), now_utc).round, "erasures"),
            every(_WATCH_EVERY, ensure_ours, "instance"),
            watchdog.run(),
        )
        background: list[asyncio.Task[None]] = []

        async def ready() -> None:
            background.extend(map(asyncio.create_task, loops))
            log.info("ready")

        await lifecycle.run(app, state, ready)
