"""What an open task or a pending commit lacks is announced again from MongoDB.

Kafka's data may be lost, even all of it.
"""

import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from castlist.contract.errors import PermanentError
from castlist.contract.ids import run_key
from castlist.messaging.delivery import attempted
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Publisher
from castlist.service.metrics import OLDEST_TASK
from castlist.store import kafka_topics
from castlist.store.query import ascending, below, eq, not_of_kind, one_of, set_to, with_id
from castlist.store.records.pending import PendingRecluster, PendingRecord
from castlist.store.records.runs import ChunkResultRecord, PlanRecord, ReceivedPart
from castlist.store.records.tasks import TaskRecord
from castlist.store.store import Store
from castlist.tasks import lifecycle
from castlist.tasks.planned_chunks import chunks_planned
from castlist.tasks.received_results import whole_results
from castlist.tasks.registration import announcement
from profile_aggregator.videos.completion import missing_chunks
from profile_aggregator.videos.handlers import VideoHandlers

log = logging.getLogger(__name__)
RECONCILE_EVERY = 2.0
_WAITING = timedelta(seconds=5)
_LONGEST = timedelta(hours=1)
_MOST_DOUBLINGS = 12
_AT_A_TIME = 200
_IS_OPEN = one_of(TaskRecord.status, lifecycle.OPEN)
_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""In the place of a time: due, even if something has just happened to the task."""


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
        """One round. A step that fails stops no other; UnavailableError in the end, if one of them missed a server."""
        away: UnavailableError | None = None
        for step in (
            self._relay.sweep,
            self._ring_for_waiting,
            self._take_up_lost,
            self._announce_stalled,
            self._show_oldest,
        ):
            try:
                await step()
            except UnavailableError as error:
                away = away or error
            except Exception:
                log.exception("round_failed", extra={"step": f"reconciler.{step.__name__}"})
        if away is not None:
            raise away

    async def _ring_for_waiting(self) -> None:
        waiting = below(PendingRecord.created_at, self._clock() - _WAITING) & not_of_kind(PendingRecluster)
        for gallery in sorted(await self._store.pending.count_by(waiting, PendingRecord.gallery)):
            self._ring(gallery)

    async def _take_up_lost(self) -> None:
        """Where Kafka has lost its data every open task is due, however lately something happened to it."""
        topics = await kafka_topics.known(self._store)
        if topics.created > topics.made_good:
            await self._store.tasks.update_many(_IS_OPEN, set_to(TaskRecord.announce_after, _AT_ONCE))
            # Only this loss is dealt with; another one meanwhile has raised the count.
            await kafka_topics.note_made_good(self._store, topics.created)

    async def _announce_stalled(self) -> None:
        for task in await self._due():
            now = self._clock()
            if not await self._claim(task, now):
                continue
            log.info(
                "announced_again", extra={"video": task.video_id, "epoch": task.epoch, "times": task.announced + 1}
            )
            try:
                await self._announce_or_fail(task, now)
            except UnavailableError:
                # Not waited for: where topics are gone, it is the next round that finds it out.
                await self._give_back(task)
                raise

    async def _show_oldest(self) -> None:
        oldest = await self._store.tasks.find(_IS_OPEN, sort=[ascending(TaskRecord.created_at)], limit=1)
        OLDEST_TASK.set(max(0.0, (self._clock() - oldest[0].created_at).total_seconds()) if oldest else 0.0)

    async def _due(self) -> list[TaskRecord]:
        """Some of the tasks whose work is to be announced again, those that have waited longest first."""
        now = self._clock()
        still = _IS_OPEN & below(TaskRecord.updated_at, now - self._after)
        found: list[TaskRecord] = []
        for where, order in (
            (_IS_OPEN & eq(TaskRecord.announce_after, _AT_ONCE), TaskRecord.updated_at),
            (still & below(TaskRecord.announce_after, now), TaskRecord.announce_after),
            (still & eq(TaskRecord.announce_after, None), TaskRecord.updated_at),
        ):
            found += await self._store.tasks.find(where, sort=[ascending(order)], limit=_AT_A_TIME)
        return found

    async def _claim(self, task: TaskRecord, now: datetime) -> bool:
        """Write the back-off, first: whatever comes of the announcement, the task holds up no other, and no other
        aggregator announces it too. False where one has done so."""
        times = task.announced + 1
        # A task may merely wait behind others: ask less and less often.
        wait = min(_LONGEST, self._after * 2 ** min(times, _MOST_DOUBLINGS))
        change = set_to(TaskRecord.announce_after, now + wait) & set_to(TaskRecord.announced, times)
        unclaimed = with_id(task.id) & _IS_OPEN & eq(TaskRecord.announced, task.announced)
        return await self._store.tasks.update(unclaimed, change) is not None

    async def _give_back(self, task: TaskRecord) -> None:
        """Nothing was announced, for want of a server: that costs the task no patience."""
        former = set_to(TaskRecord.announce_after, task.announce_after) & set_to(TaskRecord.announced, task.announced)
        claimed = with_id(task.id) & eq(TaskRecord.announced, task.announced + 1)
        with contextlib.suppress(UnavailableError):
            await self._store.tasks.update(claimed, former)

    async def _announce_or_fail(self, task: TaskRecord, now: datetime) -> None:
        fail = partial(self._videos.failed, task.video_id, task.epoch)
        try:
            await attempted(partial(self._announce, task, now), fail, {"task": task.id})
        except PermanentError as error:
            await fail(error)

    async def _announce(self, task: TaskRecord, now: datetime) -> None:
        video = await self._store.videos.get(task.video_id)
        plan = await self._store.plans.get(run_key(task.video_id, task.epoch))
        if video is not None and plan is None:
            await self._publisher.publish(announcement(video, task.epoch, now))
        elif plan is not None:
            await self._announce_chunks(plan, task, now)

    async def _announce_chunks(self, plan: PlanRecord, task: TaskRecord, now: datetime) -> None:
        received = await self._store.chunks.find_parts(ReceivedPart, eq(ChunkResultRecord.run, plan.id))
        missing = missing_chunks(len(plan.chunks), whole_results(received))
        if not missing:
            await self._videos.complete(task.video_id, task.epoch)
            return
        again = chunks_planned(plan, task.video_id, task.epoch, missing[: plan.window], now)
        await self._publisher.publish(*again)
