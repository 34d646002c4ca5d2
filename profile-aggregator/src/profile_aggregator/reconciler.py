"""What an open task or a pending commit lacks is announced again from MongoDB.

Kafka's data may be lost, even all of it.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from castlist.contract.ids import run_key
from castlist.messaging.delivery import attempted, reason_of
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Publisher
from castlist.store import kafka_topics
from castlist.store.query import ascending, below, eq, not_of_kind, one_of, set_to, with_id
from castlist.store.records import (
    ChunkResultRecord,
    PendingRecluster,
    PendingRecord,
    PlanRecord,
    ReceivedPart,
    TaskRecord,
)
from castlist.store.store import Store
from castlist.tasks import lifecycle
from castlist.tasks.planned_chunks import chunks_planned
from castlist.tasks.registration import announcement
from profile_aggregator.videos.completion import finished_chunks, missing_chunks
from profile_aggregator.videos.handlers import VideoHandlers

log = logging.getLogger(__name__)
RECONCILE_EVERY = 2.0
_WAITING = timedelta(seconds=5)
_LONGEST = timedelta(hours=1)
_MOST_DOUBLINGS = 12


class Reconciler:
    """Run once in a few seconds; each step is what a message would have caused, and as safe to repeat."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        relay: OutboxRelay,
        videos: VideoHandlers,
        ring: Callable[[str], None],
        clock: Callable[[], datetime],
        after: float,
    ) -> None:
        self._store, self._publisher, self._relay = store, publisher, relay
        self._videos, self._ring = videos, ring
        self._clock, self._after = clock, timedelta(seconds=after)

    async def run(self) -> None:
        """One round. UnavailableError if a server is away: the next one does it. What goes wrong otherwise about one
        step, gallery or task keeps none of the others."""
        await _alone("sweep", self._relay.sweep)
        for gallery in await self._waiting_galleries():
            self._ring(gallery)
        topics = await kafka_topics.known(self._store)
        lost = topics.created > topics.made_good
        for task in await self._stalled(lost):
            await self._announce_or_fail(task)
        if lost:
            # Only this loss is dealt with; another one meanwhile has raised the count.
            await kafka_topics.note_made_good(self._store, topics.created)

    async def _waiting_galleries(self) -> list[str]:
        waiting = below(PendingRecord.created_at, self._clock() - _WAITING) & not_of_kind(PendingRecluster)
        return sorted(await self._store.pending.count_by(waiting, PendingRecord.gallery))

    async def _stalled(self, everything: bool) -> list[TaskRecord]:
        now = self._clock()
        where = one_of(TaskRecord.status, lifecycle.OPEN)
        if not everything:
            where &= below(TaskRecord.updated_at, now - self._after)
        found = await self._store.tasks.find(where, sort=[ascending(TaskRecord.created_at)])
        return [task for task in found if everything or task.announce_after is None or task.announce_after <= now]

    async def _announce_or_fail(self, task: TaskRecord) -> None:
        async def fail(error: Exception) -> None:
            await self._videos.failed(task.video_id, task.epoch, reason_of(error))

        await attempted(partial(self._announce, task), fail, {"task": task.id})

    async def _announce(self, task: TaskRecord) -> None:
        now, times = self._clock(), task.announced + 1
        log.info("announced_again", extra={"video": task.video_id, "epoch": task.epoch, "times": times})
        video = await self._store.videos.get(task.video_id)
        plan = await self._store.plans.get(run_key(task.video_id, task.epoch))
        if video is not None and plan is None:
            await self._publisher.publish(announcement(video, task.epoch, now))
        elif plan is not None:
            await self._announce_chunks(plan, task, now)
        # A task may merely wait behind others: ask less and less often.
        wait = min(_LONGEST, self._after * 2 ** min(times, _MOST_DOUBLINGS))
        await self._store.tasks.update(
            with_id(task.id), set_to(TaskRecord.announce_after, now + wait) & set_to(TaskRecord.announced, times)
        )

    async def _announce_chunks(self, plan: PlanRecord, task: TaskRecord, now: datetime) -> None:
        received = await self._store.chunks.find_parts(ReceivedPart, eq(ChunkResultRecord.run, plan.id))
        missing = missing_chunks(len(plan.chunks), finished_chunks(len(plan.chunks), received))
        if not missing:
            await self._videos.complete(task.video_id, task.epoch)
            return
        again = chunks_planned(plan, task.video_id, task.epoch, missing[: plan.window], now)
        await self._publisher.publish(*again)


async def _alone(name: str, step: Callable[[], Awaitable[object]]) -> None:
    try:
        await step()
    except UnavailableError:
        raise
    except Exception:
        log.exception("round_failed", extra={"step": name})
