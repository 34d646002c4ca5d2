"""What happens to one video: registered, planned, its chunks received, complete.

Every step may come twice, or out of order.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime
from functools import partial

from castlist.concurrently import concurrently
from castlist.contract.bounds import MOST_WARNINGS
from castlist.contract.codec import UndecodableMessageError, decode_stored, encode
from castlist.contract.commands import CancelVideo
from castlist.contract.events import (
    ChunkFailed,
    ChunkProgressed,
    FacesEncoded,
    VideoPeopleFound,
    VideoPlanned,
    VideoRejected,
    VideoUploaded,
)
from castlist.contract.ids import (
    crops_prefix,
    digest_in,
    event_id,
    ledger_key,
    result_key,
    run_key,
    task_id,
    video_and_epoch,
)
from castlist.contract.left_out import OF_A_VIDEO, put_together
from castlist.contract.values import FrameSize
from castlist.contract.video_warnings import as_warning, summed_up
from castlist.messaging.delivery import attempted, reason_of
from castlist.ports.errors import AlreadyExistsError
from castlist.ports.messages import Publisher
from castlist.ports.objects import Objects
from castlist.store.packed_tracks import PackedTracks
from castlist.store.query import Change, Where, add_each, ascending, below, eq, one_of, raise_to, set_to, with_id
from castlist.store.records.pending import PendingRecord, PendingVideo
from castlist.store.records.persons import LeftOutRecord
from castlist.store.records.runs import ChunkResultRecord, PlanRecord, ReceivedPart
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from castlist.tasks import cancels, lifecycle
from castlist.tasks.received_results import whole_results
from castlist.tasks.registration import register
from castlist_identity.domain import Track, VideoPeople
from castlist_identity.videos.video_people import PeopleSettings, people_of_video
from profile_aggregator.turns import Turns
from profile_aggregator.videos.completion import (
    exceeds_limits,
    missing_chunks,
    progress,
    reasons_added_up,
    takes_long,
)
from profile_aggregator.videos.conversions import tracks_of
from profile_aggregator.videos.found_people import drop_people, keep_people
from profile_aggregator.videos.found_tracks import drop_tracks, keep_tracks, tracks_of_people

log = logging.getLogger(__name__)
_PROGRESS_EVERY = 0.5
_TOO_MUCH = TaskError("limits_exceeded", "More faces were found in it than can be put together.")
_UNREADABLE = TaskError("unreadable", "Not one frame of it could be decoded.")


class VideoHandlers:
    """The handlers of events that are keyed by video.

    `long_videos`: those whose people take long to find are put together in turns of their own, not in the stream, where
    everybody else's events would wait. Its doorbell may be lost: the reconciler rings again.
    """

    def __init__(self, store: Store, objects: Objects, publisher: Publisher, clock: Callable[[], datetime]) -> None:
        self._store, self._objects, self._publisher, self._clock = store, objects, publisher, clock
        self._running: dict[str, dict[int, float]] = defaultdict(dict)
        self._shown: dict[str, float] = {}
        self.long_videos = Turns(self._complete_long, "long_videos")

    async def uploaded(self, event: VideoUploaded) -> None:
        """A video that another system announced gets its records here; ours has them already.

        VideoConflictError if its id stands for something else.
        """
        await register(self._store, event, self._clock())

    async def planned(self, event: VideoPlanned) -> None:
        """Work has begun. What is planned is shown with the plan's settings, in one change."""
        # What was planned is what was stored, whatever a message says of it.
        plan = await self._store.plans.get(run_key(event.video_id, event.epoch))
        await self._note_media_facts(event.video_id, plan or event)
        warnings = map(as_warning, plan.warnings) if plan else ()
        await self._show_at_work(event.video_id, event.epoch, add_each(TaskRecord.warnings, warnings))
        await self.complete(event.video_id, event.epoch)

    async def _show_at_work(self, video_id: str, epoch: int, more: Change) -> None:
        """The task is being worked on; with the first sign of it it has begun, whichever event that is."""
        now = self._clock()
        at_work = set_to(TaskRecord.status, lifecycle.PROCESSING) & set_to(TaskRecord.updated_at, now)
        task = await self._store.tasks.update(_open(video_id, epoch), at_work & more)
        if task is not None and task.started_at is None:
            unstarted = _open(video_id, epoch) & eq(TaskRecord.started_at, None)
            await self._store.tasks.update(unstarted, set_to(TaskRecord.started_at, now))

    async def _note_media_facts(self, video_id: str, facts: VideoPlanned | PlanRecord) -> None:
        await self._store.videos.update(
            with_id(video_id),
            set_to(VideoRecord.duration, facts.duration)
            & set_to(VideoRecord.width, facts.width)
            & set_to(VideoRecord.height, facts.height)
            & set_to(VideoRecord.frame_rate, facts.frame_rate),
        )

    async def encoded(self, event: FacesEncoded) -> None:
        """A chunk's result: stored under its id, then the video looked at whether it is complete."""
        if not await lifecycle.is_wanted(self._store, event.video_id, event.epoch):
            await self._discard_late(event)
            return
        text = encode(event)
        result = ChunkResultRecord(
            id=_result_id(event),
            run=run_key(event.video_id, event.epoch),
            chunk=event.chunk,
            part=event.part,
            parts=event.parts,
            tracks=len(event.tracks),
            bytes=len(text),
            event=text.decode(),
            at=self._clock(),
        )
        try:
            await self._store.chunks.insert(result)
        except AlreadyExistsError:
            log.info("result_repeated", extra={"chunk": event.chunk, "part": event.part})
        # What ended the run meanwhile may not have seen it. Each looks after it has written; the later one sees both.
        if not await lifecycle.is_wanted(self._store, event.video_id, event.epoch):
            await self._discard_late(event)
            return
        await self.complete(event.video_id, event.epoch)

    async def _discard_late(self, event: FacesEncoded) -> None:
        """A result that is not wanted any more. What a done task shows stays; crops of any other go."""
        await self._store.chunks.delete(with_id(_result_id(event)))
        task = await self._store.tasks.get(task_id(event.video_id, event.epoch))
        if task is None or task.status != lifecycle.DONE:
            await self._objects.delete_prefix(f"{crops_prefix(event.video_id, event.epoch)}{event.chunk}-")

    async def chunk_failed(self, event: ChunkFailed) -> None:
        """A chunk that cannot be worked through fails its video's task."""
        await self._fail(event.video_id, event.epoch, TaskError(event.code, event.message))

    async def rejected(self, event: VideoRejected) -> None:
        """A video that cannot be worked through at all."""
        await self._fail(event.video_id, event.epoch, TaskError(event.code, event.message))

    async def failed(self, video_id: str, epoch: int, error: Exception) -> None:
        """Something about this run goes wrong however often it is tried: a mistake of ours, which its task tells."""
        await self._fail(video_id, epoch, TaskError("internal", reason_of(error)))

    async def _fail(self, video_id: str, epoch: int, error: TaskError) -> None:
        await lifecycle.finish(self._store, video_id, epoch, lifecycle.FAILED, self._clock(), error)
        task = await self._store.tasks.get(task_id(video_id, epoch))
        if task is not None and task.status in (lifecycle.FAILED, lifecycle.CANCELLED):
            await self.forget(video_id, epoch)

    async def cancelled(self, event: CancelVideo) -> None:
        """Remembered whatever comes later. What the task has left behind goes, unless it was done first."""
        now = self._clock()
        epoch = await cancels.resolve_cancel(self._store, event, now)
        if not await lifecycle.is_deleted(self._store, event.video_id, epoch):
            await cancels.cancel(self._store, event.video_id, epoch, now)
        task = await self._store.tasks.get(task_id(event.video_id, epoch))
        if task is None or task.status in (lifecycle.FAILED, lifecycle.CANCELLED):
            await self.forget(event.video_id, epoch)

    async def forget(self, video_id: str, epoch: int) -> None:
        """Remove what a run that will never be committed has left behind."""
        run = run_key(video_id, epoch)
        self._running.pop(run, None)
        self._shown.pop(run, None)
        await self._objects.delete_prefix(crops_prefix(video_id, epoch))
        await self._store.chunks.delete(eq(ChunkResultRecord.run, run))
        await drop_people(self._store, video_id, epoch)
        await self._store.left_out.delete(with_id(run))
        await drop_tracks(self._store, video_id, epoch)
        await self._store.pending.delete(with_id(run))

    async def progressed(self, event: ChunkProgressed) -> None:
        """How far a running chunk is; shown at most twice a second."""
        run = run_key(event.video_id, event.epoch)
        if time.monotonic() - self._shown.get(run, 0.0) < _PROGRESS_EVERY:
            self._running[run][event.chunk] = event.fraction
            return
        plan = await self._store.plans.get(run)
        if plan is not None and event.chunk < len(plan.chunks):
            self._running[run][event.chunk] = event.fraction
            whole = whole_results(await self._received(plan))
            await self._show(event.video_id, event.epoch, plan, whole.keys())

    async def _show(self, video_id: str, epoch: int, plan: PlanRecord, done: Set[int]) -> None:
        running = self._running[plan.id]
        for chunk in done & running.keys():
            del running[chunk]
        self._shown[plan.id] = time.monotonic()
        await self._show_at_work(
            video_id,
            epoch,
            raise_to(TaskRecord.progress, progress(len(plan.chunks), len(done), running))
            & raise_to(TaskRecord.chunks_done, len(done))
            & set_to(TaskRecord.chunks_planned, len(plan.chunks))
            & set_to(TaskRecord.settings, plan.settings),
        )

    async def _received(self, plan: PlanRecord) -> list[ReceivedPart]:
        return await self._store.chunks.find_parts(ReceivedPart, _planned_results(plan))

    async def complete(self, video_id: str, epoch: int) -> None:
        """If every planned chunk is there: find the video's people and hand them to their gallery. Safe to repeat."""
        run = run_key(video_id, epoch)
        plan = await self._store.plans.get(run)
        if plan is None:
            return
        received = await self._received(plan)
        whole = whole_results(received)
        if missing_chunks(len(plan.chunks), whole):
            if time.monotonic() - self._shown.get(run, 0.0) >= _PROGRESS_EVERY:
                await self._show(video_id, epoch, plan, whole.keys())
            return
        committed, wanted, _ = await asyncio.gather(
            self._store.ledger.get(ledger_key(plan.gallery, video_id, epoch)),
            lifecycle.is_wanted(self._store, video_id, epoch),
            self._show(video_id, epoch, plan, whole.keys()),
        )
        if committed is not None:
            return
        if not wanted:
            await self.forget(video_id, epoch)
            return
        if exceeds_limits(received):
            await self._fail(video_id, epoch, _TOO_MUCH)
            return
        if takes_long(received):
            self.long_videos.ring(run)
        else:
            await self._put_together(plan, whole)

    async def _complete_long(self, run: str) -> bool:
        video_id, epoch = video_and_epoch(run)

        async def step() -> None:
            plan = await self._store.plans.get(run)
            if plan is not None and await lifecycle.is_wanted(self._store, video_id, epoch):
                await self._put_together(plan, whole_results(await self._received(plan)))

        await attempted(step, partial(self.failed, video_id, epoch), {"run": run})
        return False

    async def _put_together(self, plan: PlanRecord, whole: Mapping[int, str]) -> None:
        video_id, epoch = video_and_epoch(plan.id)
        pending = await self._store.pending.get(plan.id) or await self._find_people(plan, whole, video_id, epoch)
        if pending is not None:
            await self._announce_people(video_id, epoch, pending)

    async def _announce_people(self, video_id: str, epoch: int, pending: PendingRecord) -> None:
        assert isinstance(pending, PendingVideo)
        await self._publisher.publish(
            VideoPeopleFound(
                event_id=event_id("VideoPeopleFound", pending.id),
                occurred_at=self._clock(),
                video_id=video_id,
                epoch=epoch,
                gallery=pending.gallery,
                people=pending.people,
            )
        )

    async def _find_people(
        self, plan: PlanRecord, whole: Mapping[int, str], video_id: str, epoch: int
    ) -> PendingVideo | None:
        order = [ascending(ChunkResultRecord.chunk), ascending(ChunkResultRecord.part)]
        stored = await self._store.chunks.find(_planned_results(plan), sort=order)
        stored = [one for one in stored if whole.get(one.chunk) == digest_in(one.id)]
        try:
            results = await asyncio.to_thread(_read, stored)
        except UndecodableMessageError as error:
            # Only a mistake of ours can store such a thing; it must not stop the stream for every other video.
            log.exception("result_unreadable")
            message = f"A stored result cannot be read: {error}"
            await self._fail(video_id, epoch, TaskError("internal", message))
            return None
        if sum(result.frames for result in results) == 0:
            await self._fail(video_id, epoch, _UNREADABLE)
            return None
        people, tracks = await asyncio.to_thread(_people, results, plan)
        of_chunks = summed_up(one for result in results for one in result.warnings)
        warnings = list(dict.fromkeys([*map(as_warning, plan.warnings), *of_chunks]))[:MOST_WARNINGS]
        skipped = reasons_added_up([people.skipped, *(result.faces_skipped for result in results)])
        told = set_to(TaskRecord.faces_skipped, skipped) & set_to(TaskRecord.warnings, warnings)
        left_out = put_together([*people.left_out, *(face for one in results for face in one.left_out)], OF_A_VIDEO)
        identified = plan.settings.identify
        await concurrently(
            self._store.tasks.update(_open(video_id, epoch), told),
            self._note_media_facts(video_id, plan),  # the event that says the same may be late, or lost
            self._store.left_out.replace(LeftOutRecord(id=plan.id, faces=left_out)),
            keep_tracks(self._store, tracks, plan.id),
            keep_people(self._store, people.people, plan.gallery, video_id, epoch, identified=identified),
        )
        pending = PendingVideo(
            id=plan.id,
            gallery=plan.gallery,
            created_at=self._clock(),
            video_id=video_id,
            epoch=epoch,
            people=len(people.people),
        )
        try:
            await self._store.pending.insert(pending)
        except AlreadyExistsError:
            log.info("people_pending_already")
        self._running.pop(plan.id, None)
        self._shown.pop(plan.id, None)
        return pending


def _result_id(event: FacesEncoded) -> str:
    return result_key(event.video_id, event.epoch, event.chunk, event.digest, event.part)


def _open(video_id: str, epoch: int) -> Where:
    return with_id(task_id(video_id, epoch)) & one_of(TaskRecord.status, lifecycle.OPEN)


def _planned_results(plan: PlanRecord) -> Where:
    return eq(ChunkResultRecord.run, plan.id) & below(ChunkResultRecord.chunk, len(plan.chunks))


def _read(stored: Sequence[ChunkResultRecord]) -> list[FacesEncoded]:
    return [decode_stored(FacesEncoded, one.event) for one in stored]


def _people(results: Sequence[FacesEncoded], plan: PlanRecord) -> tuple[VideoPeople, Sequence[PackedTracks]]:
    tracks: list[Track] = [track for result in results for track in tracks_of(result)]
    people = people_of_video(tracks, PeopleSettings.of(plan.settings, FrameSize(plan.width, plan.height)))
    return people, tracks_of_people(tracks, people.people)
