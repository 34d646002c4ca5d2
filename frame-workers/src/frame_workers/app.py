"""frame-workers: `video.uploaded` → plan → `video.chunks` → decode, detect, track, encode → `face.encodings`."""

import asyncio
import logging
import os
import signal
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import chain

from starlette.applications import Starlette

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.observer import KafkaObserver
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.kafka.subscription import KafkaSubscription, listen, subscribe
from castlist.children.child import command
from castlist.clock import now_utc
from castlist.contract.topics import VIDEO_CHUNKS, VIDEO_CONTROL, VIDEO_UPLOADED, Topic
from castlist.messaging.consumer import Consumer, Listener
from castlist.messaging.liveness import Liveness, Watchdog
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Partition, ReadPosition
from castlist.retry import retry_while_unavailable
from castlist.service.health import health_routes
from castlist.service.http_server import make_server
from castlist.service.metrics import ENCODER
from castlist.service.problems import EXCEPTION_HANDLERS
from castlist.store.store import Store
from frame_workers.attempts import Attempts
from frame_workers.context import WorkerContext
from frame_workers.handlers.cancel_run import CancelRun
from frame_workers.handlers.plan_video import PlanVideo
from frame_workers.handlers.process_chunk import ProcessChunk
from frame_workers.object_cache import ObjectCache
from frame_workers.running_jobs import RunningJobs
from frame_workers.settings import Settings
from frame_workers.slots.pool import Pool

log = logging.getLogger(__name__)
PLANNERS = 2
"""So that a file that is slow to plan holds up nobody else."""
GROUPS = {VIDEO_UPLOADED.name: "frame-workers.plan", VIDEO_CHUNKS.name: "frame-workers"}
"""Which topic is read in which group; every process hears all of `video.control`."""
_AHEAD_OF_SLOTS = 2  # messages of one gallery: their files are fetched while the slots are at work
_FAREWELL = 2.0
_CHILD = "frame_workers.slots.child_main"


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
        os._exit(0)  # a server is away, or something else holds us up; the children die with us
    working.result()


async def work(settings: Settings, stopping: asyncio.Event, joined: asyncio.Event) -> None:
    """The pipeline. `joined` is set when it takes work."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as background:
        enter = stack.enter_async_context
        documents = mongo.connect(settings.mongo_url, settings.database)
        kafka = settings.kafka_bootstrap, settings.castlist_prefix
        publisher, observer = KafkaPublisher(*kafka), KafkaObserver(*kafka)
        stack.callback(documents.close)
        stack.push_async_callback(publisher.close)
        stack.push_async_callback(observer.close)
        objects = await enter(s3.connect(*settings.s3))
        store = Store(documents)
        context = WorkerContext(
            settings=settings,
            store=store,
            objects=objects,
            publisher=publisher,
            cache=ObjectCache(settings.castlist_home / "fetched", settings.fetched_bytes, objects),
            attempts=Attempts(store, uuid.uuid4().hex, now_utc),
            running=RunningJobs(),
            liveness=Liveness(),
            clock=now_utc,
        )

        chunk_slots = await enter(Pool(settings.workers, _chunk_child(settings), on_change=show_encoders))
        # A child of its own: a plan waits for no chunk, and a file that kills its reader kills no chunk.
        plan_slots = await enter(Pool(PLANNERS, _plan_child(settings)))

        subscriptions: list[KafkaSubscription] = []
        membership = await enter(AsyncExitStack())
        """in the group of those who work through chunks"""
        without: list[str] = []
        """what this process lacks for chunks, if anything"""

        async def taking_work() -> None:
            if without:
                raise UnavailableError(f"leaves chunks to others: {without[0]}")
            if not joined.is_set() or not all(subscription.joined for subscription in subscriptions):
                raise UnavailableError("not a member of its groups yet")

        async def servers() -> None:
            await asyncio.gather(publisher.ping(), documents.ping(), objects.ping())

        cancels = Listener(lambda: listen(*kafka, VIDEO_CONTROL), VIDEO_CONTROL, CancelRun(context).handle)

        async def positions() -> Mapping[Partition, ReadPosition]:
            found = [await cancels.positions(), *[await one.positions() for one in subscriptions]]
            return dict(chain.from_iterable(one.items() for one in found))

        liveness = context.liveness
        watchdog = Watchdog(
            liveness,
            positions,
            observer,
            servers,
            groups=GROUPS,
            idle_limit=settings.stuck_seconds,
            busy_limit=busy_limit(settings),
        )
        checks = {
            "kafka": publisher.ping,
            "mongodb": documents.ping,
            "s3": objects.ping,
            "groups": taking_work,
            "children": chunk_slots.check,
            "planner": plan_slots.check,
            "messages": watchdog.check,
        }
        health = make_server(
            Starlette(routes=health_routes(checks), exception_handlers=EXCEPTION_HANDLERS),
            settings.bind_host,
            settings.workers_port,
            install_signals=False,
        )

        serving = background.create_task(health.serve())
        tasks = [background.create_task(cancels.run())]
        await cancels.ready.wait()  # nothing is taken before a cancel of it would be heard

        @retry_while_unavailable
        async def join(topic: Topic, as_long_as: AsyncExitStack) -> KafkaSubscription:
            return await as_long_as.enter_async_context(subscribe(*kafka, [topic], GROUPS[topic.name]))

        uploads = await join(VIDEO_UPLOADED, stack)
        chunks = await join(VIDEO_CHUNKS, membership)
        subscriptions += [uploads, chunks]
        joined.set()

        tasks.append(background.create_task(watchdog.run()))
        planning = PlanVideo(context, plan_slots, window=max(4, 2 * settings.workers))
        processing = ProcessChunk(context, chunk_slots)
        log.info("ready", extra={"slots": settings.workers})
        # The aggregator reads video.uploaded too, and keeps what cannot be read.
        plans = Consumer(
            uploads,
            VIDEO_UPLOADED,
            planning,
            publisher,
            liveness,
            each=PLANNERS + _AHEAD_OF_SLOTS,
            in_order=True,  # of two objects under one id the first is the video
            keep_unreadable=False,
        )
        analysis = Consumer(
            chunks, VIDEO_CHUNKS, processing, publisher, liveness, each=settings.workers + _AHEAD_OF_SLOTS
        )

        async def work_through_chunks() -> None:
            await analysis.run(stopping, settings.drain_seconds)
            if (error := analysis.left_to_others) is not None:
                log.error("chunks_left", extra={"reason": str(error)})
                without.append(str(error))
                subscriptions.remove(chunks)
                await membership.aclose()  # its partitions go to those who are left in the group

        await asyncio.gather(plans.run(stopping, settings.drain_seconds), work_through_chunks())
        for task in tasks:
            task.cancel()
        health.should_exit = True  # cancelled, it would log that as an error
        await serving


def busy_limit(settings: Settings) -> float:
    """Seconds without any sign of life while work is in hand: a plan gives none before its bound ends it; a chunk that
    is worked on gives one every second."""
    return 2 * settings.job_seconds


def _plan_child(settings: Settings) -> list[str]:
    return command(_CHILD, "plan", cache=str(settings.castlist_cache), longest_seconds=settings.longest_video_seconds)


def _chunk_child(settings: Settings) -> list[str]:
    options = {"encoder": settings.encoder, "cache": str(settings.castlist_cache), "log_level": settings.log_level}
    return command(_CHILD, "chunk", **options)


def show_encoders(slots: Pool) -> None:
    """Say in the metrics what computes the encodings, and on what: in the children as they are now, none before."""
    ENCODER.clear()
    for child in slots.children:
        if child.facts:
            encoder, _, provider = str(child.facts["encoder"]).partition("-")
            ENCODER.labels(encoder, provider or "cpu").set(1)
