"""frame-workers: `video.uploaded` → plan → `video.chunks` → decode, detect, follow, encode → `face.encodings`."""

import asyncio
import json
import logging
import os
import signal
import sys
import uuid
from contextlib import AsyncExitStack
from typing import Any

from starlette.applications import Starlette

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.kafka.subscription import KafkaSubscription, listen, subscribe
from castlist.clock import now_utc
from castlist.contract.topics import VIDEO_CHUNKS, VIDEO_CONTROL, VIDEO_UPLOADED
from castlist.ports.errors import Unavailable
from castlist.service.health import health_routes
from castlist.service.http_server import make_server
from castlist.service.metrics import ENCODER
from castlist.service.problems import EXCEPTION_HANDLERS
from frame_workers.attempts import Trials
from frame_workers.consuming import Consumer
from frame_workers.context import Workshop
from frame_workers.handlers.cancel import obey
from frame_workers.handlers.plan_video import Planning
from frame_workers.handlers.process_chunk import Chunks
from frame_workers.object_cache import Cache
from frame_workers.pulse import Pulse, watchdog
from frame_workers.running_jobs import Running
from frame_workers.settings import Settings
from frame_workers.slots.pool import Pool

log = logging.getLogger(__name__)
BUSY_LIMIT = 3600.0
"""Seconds without any sign of life while work is in hand: longer than any job may take."""
_FAREWELL = 2.0


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; what is not finished some seconds later is left to others, unacknowledged."""
    stopping, joined = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    working = asyncio.create_task(work(settings, stopping, joined))
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
    if joined.is_set() and not working.done():
        await asyncio.wait({working}, timeout=settings.drain_seconds + _FAREWELL)
    if not working.done():
        os._exit(0)  # a server is away, or somebody else holds us up; the children die with us
    working.result()


async def work(settings: Settings, stopping: asyncio.Event, joined: asyncio.Event) -> None:
    """The pipeline. `joined` is set when it takes work."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as background:
        enter = stack.enter_async_context
        documents = mongo.connect(settings.mongo_url, settings.mongo_database)
        publisher = KafkaPublisher(settings.kafka_bootstrap)
        stack.callback(documents.close)
        stack.push_async_callback(publisher.close)
        objects = await enter(s3.connect(*settings.s3))
        cache = Cache(settings.castlist_home / "fetched", settings.fetched_bytes, objects)
        trials = Trials(documents, uuid.uuid4().hex, now_utc)
        pulse, running = Pulse(), Running()
        shop = Workshop(settings, documents, objects, publisher, cache, trials, running, pulse, now_utc)

        chunk_pool = Pool(settings.workers, _chunk_child(settings), lambda _: show_encoders(chunk_pool))
        await enter(chunk_pool)
        # A child of its own: a plan waits for no chunk, and a file that kills its reader kills no chunk.
        plan_pool = await enter(Pool(1, _child("plan", longest_seconds=settings.longest_video_seconds)))

        subscriptions: list[KafkaSubscription] = []

        async def taking_work() -> None:
            if not joined.is_set() or not all(subscription.joined for subscription in subscriptions):
                raise Unavailable("not a member of its groups yet")

        checks = {
            "kafka": publisher.ping,
            "mongodb": documents.ping,
            "s3": objects.ping,
            "groups": taking_work,
            "children": chunk_pool.check,
            "planner": plan_pool.check,
        }
        health = make_server(
            Starlette(routes=health_routes(checks), exception_handlers=EXCEPTION_HANDLERS),
            settings.bind_host,
            settings.workers_port,
            install_signals=False,
        )

        async def servers() -> None:
            await asyncio.gather(publisher.ping(), documents.ping(), objects.ping())

        listening = asyncio.Event()
        tasks = [
            background.create_task(health.serve()),
            background.create_task(obey(lambda: listen(settings.kafka_bootstrap, VIDEO_CONTROL), shop, listening)),
        ]
        await listening.wait()  # nothing is taken before a cancel of it would be heard
        uploads = await pulse.outlast(
            lambda: enter(subscribe(settings.kafka_bootstrap, [VIDEO_UPLOADED], "frame-workers.plan"))
        )
        chunks = await pulse.outlast(
            lambda: enter(subscribe(settings.kafka_bootstrap, [VIDEO_CHUNKS], "frame-workers"))
        )
        subscriptions += [uploads, chunks]
        joined.set()

        async def behind() -> int:
            return sum([await subscription.behind() for subscription in subscriptions])

        tasks.append(background.create_task(watchdog(pulse, behind, servers, settings.stuck_seconds, BUSY_LIMIT)))
        planning = Planning(shop, plan_pool, window=max(4, 2 * settings.workers))
        log.info("ready", extra={"slots": settings.workers})
        working = Chunks(shop, chunk_pool)
        # The aggregator reads video.uploaded too, and buries what nobody can read.
        consumers = (
            Consumer(uploads, VIDEO_UPLOADED, planning, publisher, pulse, buries=False),
            Consumer(chunks, VIDEO_CHUNKS, working, publisher, pulse, buries=True),
        )
        await asyncio.gather(*(consumer.run(stopping, settings.drain_seconds) for consumer in consumers))
        for task in tasks:
            task.cancel()


def _chunk_child(settings: Settings) -> list[str]:
    return _child("chunk", encoder=settings.encoder, cache=str(settings.castlist_cache), log_level=settings.log_level)


def _child(role: str, **options: Any) -> list[str]:
    quiet = "ignore:pkg_resources is deprecated"  # by face_recognition_models, which nobody maintains
    return [
        sys.executable,
        "-W",
        quiet,
        "-m",
        "frame_workers.slots.child_main",
        role,
        str(os.getpid()),
        json.dumps(options),
    ]


def show_encoders(pool: Pool) -> None:
    """Say in the metrics what computes the encodings, and on what: in the children as they are now, none before."""
    ENCODER.clear()
    for child in pool.children:
        if child.facts:
            encoder, _, provider = str(child.facts["encoder"]).partition("-")
            ENCODER.labels(encoder, provider or "cpu").set(1)
