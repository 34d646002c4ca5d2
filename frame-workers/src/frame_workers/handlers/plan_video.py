"""One video that was announced: probe it in a child, store how it is cut, say so, and hand out its first chunks.

The plan that was stored first stands: a repetition hands out the same chunks.
"""

import asyncio
import logging
import time
from dataclasses import replace

from castlist.children.child import Bounds, run_job
from castlist.children.messages import JobRejectedError
from castlist.contract.bounds import MOST_WARNINGS
from castlist.contract.errors import PermanentError
from castlist.contract.events import Event, VideoPlanned, VideoRejected, VideoUploaded
from castlist.contract.ids import event_id, plan_key, run_key, task_id
from castlist.contract.values import AnalysisSettings, StoredObject, VideoWarning, in_short
from castlist.contract.video_warnings import as_warning, warning
from castlist.messaging.delivery import reason_of
from castlist.messaging.fair_queue import Turn
from castlist.ports.errors import AlreadyExistsError, ObjectForbiddenError, ObjectMissingError
from castlist.retry import retry_while_unavailable
from castlist.service.json_logging import about
from castlist.service.metrics import DETECTOR_REPLACED, JOB_CPU_SECONDS, STAGE_SECONDS
from castlist.store.records.runs import ChunkSpan, PlanRecord
from castlist.store.records.videos import VideoRecord
from castlist.tasks.planned_chunks import chunks_planned
from castlist.tasks.registration import VideoConflictError, register
from frame_workers.attempts import AttemptsExhaustedError
from frame_workers.context import WorkerContext
from frame_workers.object_cache import ObjectChangedError
from frame_workers.running_jobs import RunCancelledError
from frame_workers.slots.pool import Slots
from frame_workers.slots.protocol import PlanJob, PlanResult

log = logging.getLogger(__name__)


class VideoRejectedError(Exception):
    """There is no plan for this video; `dead_letter` if an operator should see its announcement."""

    def __init__(self, code: str, message: str, dead_letter: bool = False) -> None:
        super().__init__(message)
        self.code, self.dead_letter = code, dead_letter


class PlanVideo:
    """The handler of `video.uploaded`. `window`: how many chunks of one video may wait at a time."""

    def __init__(self, context: WorkerContext, slots: Slots, window: int) -> None:
        self._context, self._slots, self._window = context, slots, window
        self._told_without_auto = False

    async def handle(self, uploaded: Event) -> None:
        """Returns when the message may be acknowledged; PermanentError if it belongs among the dead letters too,
        PostponedError after a strike."""
        assert isinstance(uploaded, VideoUploaded)
        run = run_key(uploaded.video_id, uploaded.epoch)
        with about(task=task_id(uploaded.video_id, uploaded.epoch)):
            try:
                await self._register(uploaded)
            except VideoConflictError as conflict:
                log.warning("video_conflict", extra={"reason": str(conflict)})
                return  # the aggregator reads this topic too, and keeps the message
            try:
                plan = await self._context.running.stoppable(run, self._plan(uploaded))
            except RunCancelledError:
                log.info("plan_cancelled")
            except VideoRejectedError as rejected:
                await self._report_rejection(uploaded, rejected)
            else:
                await self._announce(uploaded, plan)
            await self._forget_attempts(uploaded)

    async def fail(self, uploaded: Event, error: Exception) -> None:
        """Reject a video over a mistake of ours."""
        assert isinstance(uploaded, VideoUploaded)
        rejected = VideoRejectedError("internal", reason_of(error), dead_letter=True)
        await self._report_rejection(uploaded, rejected)

    @retry_while_unavailable
    async def _register(self, uploaded: VideoUploaded) -> None:
        await register(self._context.store, uploaded, self._context.clock())

    @retry_while_unavailable
    async def _plan(self, uploaded: VideoUploaded) -> PlanRecord:
        """The plan that stands. Raises VideoRejectedError, or RunCancelledError if the run is not wanted."""
        store, began = self._context.store, time.monotonic()
        run = run_key(uploaded.video_id, uploaded.epoch)
        _, plan, video, gallery, failed = await asyncio.gather(
            self._context.ensure_wanted(uploaded.video_id, uploaded.epoch),
            store.plans.get(run),
            store.videos.get(uploaded.video_id),
            store.galleries.get(uploaded.gallery),
            self._context.attempts.failed(plan_key(uploaded.video_id, uploaded.epoch)),
        )
        if plan is not None:
            return plan
        stored, size = await self._object(uploaded, video)
        found = await self._probe(uploaded, stored, size, failed)
        asked = gallery.settings.analysis if gallery and gallery.settings else AnalysisSettings()
        asked = replace(asked, identify=asked.identify and uploaded.identify)
        settings, replaced = self._that_can_be_had(asked, found.without_auto)
        plan = PlanRecord(
            id=run,
            gallery=uploaded.gallery,
            object=stored,
            chunks=tuple(ChunkSpan(span.start, span.end, span.stretches, span.holes) for span in found.chunks),
            settings=settings,
            window=self._window,
            duration=found.duration,
            width=found.width,
            height=found.height,
            frame_rate=found.frame_rate,
            warnings=(*found.warnings, *replaced)[:MOST_WARNINGS],
            created_at=self._context.clock(),
        )
        try:
            await store.plans.insert(plan)
        except AlreadyExistsError:
            return await store.plans.get(run) or plan
        took = time.monotonic() - began
        STAGE_SECONDS.labels("plan").observe(took)
        log.info("video_planned", extra={"took": round(took, 3), "chunks": len(plan.chunks), "duration": plan.duration})
        return plan

    def _that_can_be_had(
        self, asked: AnalysisSettings, without_auto: str | None
    ) -> tuple[AnalysisSettings, tuple[VideoWarning, ...]]:
        """The settings for the plan, with a detector that the planner has, and what is to be said of that."""
        if asked.detector != "auto" or without_auto is None:
            return asked, ()
        if not self._told_without_auto:
            self._told_without_auto = True
            log.warning("detector_unavailable", extra={"reason": without_auto})
        DETECTOR_REPLACED.inc()
        return replace(asked, detector="hog"), (warning("detector_replaced"),)

    async def _object(self, uploaded: VideoUploaded, video: VideoRecord | None) -> tuple[StoredObject, int]:
        """The object with the etag that it has now, if that is the one announced, and may be; and its bytes."""
        announced, allowed = uploaded.object, self._context.settings.announceable
        if video is None or not allowed.readable(video):
            raise VideoRejectedError("object_not_allowed", allowed.refusal(announced.bucket))
        try:
            info = await self._context.objects.head(announced.key, bucket=announced.bucket)
        except ObjectForbiddenError as error:
            reason = f"The bucket {announced.bucket} does not let us read {announced.key}."
            raise VideoRejectedError("object_forbidden", reason) from error
        except ObjectMissingError as error:
            reason = f"There is no object {announced.key} in {announced.bucket}."
            raise VideoRejectedError("object_missing", reason) from error
        if announced.etag is not None and announced.etag.strip('"') != info.etag:
            reason = f"The object has the etag {info.etag}, announced was {announced.etag}."
            raise VideoRejectedError("object_changed", reason)
        limit = self._context.settings.largest_video_bytes
        if info.bytes > limit:
            raise VideoRejectedError("limits_exceeded", f"The object has {info.bytes} bytes; up to {limit} are taken.")
        return replace(announced, etag=info.etag), info.bytes

    async def _probe(self, uploaded: VideoUploaded, stored: StoredObject, size: int, failed: int) -> PlanResult:
        settings, attempts = self._context.settings, self._context.attempts
        bounds = Bounds(settings.job_cpu_seconds, settings.job_seconds, settings.child_memory_bytes)
        key = plan_key(uploaded.video_id, uploaded.epoch)
        turn = Turn(uploaded.gallery, uploaded.video_id, failed)
        try:
            async with self._context.cache.hold(stored, size) as path, self._slots.slot(turn) as child:

                async def attempt() -> PlanResult:
                    try:
                        return await run_job(child, PlanJob(path=str(path)), PlanResult, bounds, lambda _: None)
                    finally:
                        JOB_CPU_SECONDS.labels("plan").observe(child.cpu_seconds)

                return await attempts.run(key, attempt)
        except ObjectChangedError as error:
            raise VideoRejectedError("object_changed", str(error)) from error
        except ObjectForbiddenError as error:
            raise VideoRejectedError("object_forbidden", str(error)) from error
        except ObjectMissingError as error:
            raise VideoRejectedError("object_missing", str(error)) from error
        except JobRejectedError as rejected:
            raise VideoRejectedError(rejected.code, str(rejected)) from rejected
        except AttemptsExhaustedError as exhausted:
            raise VideoRejectedError(exhausted.code, str(exhausted), dead_letter=True) from exhausted

    @retry_while_unavailable
    async def _announce(self, uploaded: VideoUploaded, plan: PlanRecord) -> None:
        now = self._context.clock()
        planned = VideoPlanned(
            event_id=event_id("VideoPlanned", plan.id),
            occurred_at=now,
            video_id=uploaded.video_id,
            epoch=uploaded.epoch,
            gallery=plan.gallery,
            chunks=len(plan.chunks),
            duration=plan.duration,
            width=plan.width,
            height=plan.height,
            frame_rate=plan.frame_rate,
            warnings=tuple(map(as_warning, plan.warnings)),
        )
        first = range(min(plan.window, len(plan.chunks)))
        chunks = chunks_planned(plan, uploaded.video_id, uploaded.epoch, first, now)
        await self._context.publisher.publish(planned, *chunks)

    async def _report_rejection(self, uploaded: VideoUploaded, rejected: VideoRejectedError) -> None:
        """Say that this video cannot be worked through; PermanentError if it is to be dead-lettered."""
        log.warning("video_rejected", extra={"code": rejected.code, "reason": str(rejected)})
        await self._publish(
            VideoRejected(
                event_id=event_id("VideoRejected", uploaded.video_id, uploaded.epoch, rejected.code),
                occurred_at=self._context.clock(),
                video_id=uploaded.video_id,
                epoch=uploaded.epoch,
                gallery=uploaded.gallery,
                code=rejected.code,
                message=in_short(str(rejected)),
            )
        )
        if rejected.dead_letter:
            raise PermanentError(f"{rejected.code}: {rejected}")

    @retry_while_unavailable
    async def _publish(self, event: Event) -> None:
        await self._context.publisher.publish(event)

    @retry_while_unavailable
    async def _forget_attempts(self, uploaded: VideoUploaded) -> None:
        await self._context.attempts.forget(plan_key(uploaded.video_id, uploaded.epoch))
