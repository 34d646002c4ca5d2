"""One chunk: work it through in a child, put its crops into S3, say what was found, hand out a successor.

Every step may be repeated; the message is acknowledged when all of them are done.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from castlist.children.child import Bounds, run_job
from castlist.children.messages import JobRejectedError
from castlist.concurrently import concurrently
from castlist.contract.errors import PermanentError
from castlist.contract.events import ChunkFailed, ChunkPlanned, Event
from castlist.contract.ids import chunk_key, crops_prefix, event_id, run_key, task_id
from castlist.contract.values import in_short
from castlist.messaging.delivery import LeftToOthersError, reason_of
from castlist.messaging.fair_queue import Turn
from castlist.ports.errors import ObjectForbiddenError, ObjectMissingError
from castlist.retry import retry_while_unavailable
from castlist.service.json_logging import about
from castlist.service.metrics import CHUNK_SECONDS as TOOK
from castlist.service.metrics import CHUNKS, FACES_ENCODED, FACES_SKIPPED, JOB_CPU_SECONDS, STAGE_SECONDS, VIDEO_SECONDS
from castlist.store.query import eq
from castlist.store.records.runs import ChunkResultRecord, PlanRecord, ReceivedPart
from castlist.tasks import lifecycle
from castlist.tasks.planned_chunks import chunks_planned
from castlist.tasks.received_results import whole_results
from frame_workers.attempts import AttemptsExhaustedError
from frame_workers.context import WorkerContext
from frame_workers.handlers.chunk_events import digest_of, faces_encoded, jpegs_of
from frame_workers.handlers.progress_reports import reported
from frame_workers.object_cache import ObjectChangedError
from frame_workers.running_jobs import RunCancelledError
from frame_workers.slots.pool import Slots
from frame_workers.slots.protocol import DETECTOR_UNAVAILABLE, ChunkJob, ChunkResult

log = logging.getLogger(__name__)
_CROPS_AT_ONCE = 8
_CNN_IS_SLOWER = 10.0


@dataclass(frozen=True)
class ChunkFailure:
    """Why a chunk cannot be worked through; `dead_letter` if an operator should see the message that led here."""

    code: str
    message: str
    dead_letter: bool = False


class ProcessChunk:
    """The handler of `video.chunks`."""

    def __init__(self, context: WorkerContext, slots: Slots) -> None:
        self._context, self._slots = context, slots

    async def handle(self, chunk: Event) -> None:
        """Returns when the message may be acknowledged; PermanentError if it belongs among the dead letters too,
        PostponedError after a strike, LeftToOthersError where this process lacks the detector that is asked for."""
        assert isinstance(chunk, ChunkPlanned)
        run = run_key(chunk.video_id, chunk.epoch)
        with about(task=task_id(chunk.video_id, chunk.epoch), chunk=chunk.chunk):
            try:
                plan, stored = await asyncio.gather(self._plan(run), self._is_stored(chunk))
                if plan is not None and chunk.object != plan.object:
                    raise PermanentError("the chunk is of another object than the video's")
                if not stored:
                    outcome = await self._context.running.stoppable(run, self._analyse(chunk, plan))
                    if isinstance(outcome, ChunkFailure):
                        await self._report_failure(chunk, outcome)
                        return
                    await self._report(chunk, outcome)
            except RunCancelledError:
                await self._discard(chunk)
                return
            await self._hand_out(chunk, plan)
            await self._forget_attempts(chunk)

    async def fail(self, chunk: Event, error: Exception) -> None:
        """Fail a chunk over a mistake of ours."""
        assert isinstance(chunk, ChunkPlanned)
        failure = ChunkFailure("internal", reason_of(error), dead_letter=True)
        await self._report_failure(chunk, failure)

    @retry_while_unavailable
    async def _plan(self, run: str) -> PlanRecord | None:
        return await self._context.store.plans.get(run)

    @retry_while_unavailable
    async def _is_stored(self, chunk: ChunkPlanned) -> bool:
        """Whether the result is known already: then only the successor may be missing. RunCancelledError if the run is
        not wanted."""
        run = run_key(chunk.video_id, chunk.epoch)
        where = eq(ChunkResultRecord.run, run) & eq(ChunkResultRecord.chunk, chunk.chunk)
        parts, _ = await asyncio.gather(
            self._context.store.chunks.find_parts(ReceivedPart, where),
            self._context.ensure_wanted(chunk.video_id, chunk.epoch),
        )
        return bool(whole_results(parts))

    @retry_while_unavailable
    async def _analyse(self, chunk: ChunkPlanned, plan: PlanRecord | None) -> ChunkResult | ChunkFailure:
        context, began, seconds = self._context, time.monotonic(), _seconds(chunk, plan)
        bounds = _bounds(chunk, context)
        turn = Turn(chunk.gallery, chunk.video_id, await context.attempts.failed(_key(chunk)))
        try:
            async with context.cache.hold(chunk.object) as path, self._slots.slot(turn) as child:
                await context.ensure_wanted(chunk.video_id, chunk.epoch)  # it may have waited for long
                job = ChunkJob(
                    path=str(path),
                    chunk=chunk.chunk,
                    start=chunk.start,
                    end=chunk.end,
                    stretches=chunk.stretches,
                    holes=chunk.holes,
                    settings=chunk.settings,
                )

                async def attempt() -> ChunkResult:
                    try:
                        async with reported(context, chunk) as progress:
                            return await run_job(child, job, ChunkResult, bounds, progress)
                    finally:
                        JOB_CPU_SECONDS.labels("chunk").observe(child.cpu_seconds)

                started = time.monotonic()
                result = await context.attempts.run(_key(chunk), attempt)
                cpu = child.cpu_seconds
        except ObjectChangedError as error:
            return ChunkFailure("object_changed", str(error))
        except ObjectForbiddenError as error:
            return ChunkFailure("object_forbidden", str(error))
        except ObjectMissingError as error:
            return ChunkFailure("object_missing", str(error))
        except JobRejectedError as rejected:
            if rejected.code == DETECTOR_UNAVAILABLE:
                raise LeftToOthersError(str(rejected)) from rejected
            return ChunkFailure(rejected.code, str(rejected))
        except AttemptsExhaustedError as exhausted:
            return ChunkFailure(exhausted.code, str(exhausted), dead_letter=True)
        took = time.monotonic() - started
        TOOK.observe(took)
        VIDEO_SECONDS.inc(seconds)
        FACES_ENCODED.inc(sum(len(track.faces) for track in result.tracks))
        for reason, count in result.faces_skipped.items():
            FACES_SKIPPED.labels(reason).inc(count)
        STAGE_SECONDS.labels("wait").observe(started - began)
        told = {"waited": round(started - began, 3), "took": round(took, 3), "cpu": round(cpu, 3)}
        log.info("chunk_processed", extra={**told, "seconds": seconds, "tracks": len(result.tracks)})
        return result

    @retry_while_unavailable
    async def _report(self, chunk: ChunkPlanned, result: ChunkResult) -> None:
        """The crops, then what was found: a consumer that hears of a face finds its picture."""
        at_once = asyncio.Semaphore(_CROPS_AT_ONCE)

        async def put(key: str, jpeg: bytes) -> None:
            async with at_once:
                await self._context.objects.put(key, jpeg, "image/jpeg")

        began = time.monotonic()
        digest = digest_of(result)
        await concurrently(*(put(key, jpeg) for key, jpeg in jpegs_of(chunk, result, digest).items()))
        # Not before: of who was erased meanwhile the crops have to go again.
        await self._context.ensure_wanted(chunk.video_id, chunk.epoch)
        await self._context.publisher.publish(*faces_encoded(chunk, result, digest, self._context.clock()))
        STAGE_SECONDS.labels("report").observe(time.monotonic() - began)
        CHUNKS.labels("done").inc()

    async def _report_failure(self, chunk: ChunkPlanned, failure: ChunkFailure) -> None:
        """Say that this chunk cannot be worked through; PermanentError if it is to be dead-lettered."""
        CHUNKS.labels(failure.code).inc()
        log.warning("chunk_failed", extra={"code": failure.code, "reason": failure.message})
        await self._publish(
            ChunkFailed(
                event_id=event_id("ChunkFailed", _key(chunk), failure.code),
                occurred_at=self._context.clock(),
                video_id=chunk.video_id,
                epoch=chunk.epoch,
                gallery=chunk.gallery,
                chunk=chunk.chunk,
                code=failure.code,
                message=in_short(failure.message),
            )
        )
        if failure.dead_letter:
            raise PermanentError(f"{failure.code}: {failure.message}")

    @retry_while_unavailable
    async def _publish(self, event: Event) -> None:
        await self._context.publisher.publish(event)

    @retry_while_unavailable
    async def _hand_out(self, chunk: ChunkPlanned, plan: PlanRecord | None) -> None:
        """A finished chunk makes room for the one that is a window behind it."""
        following = chunk.chunk + chunk.window
        if plan is not None and following < len(plan.chunks):
            now = self._context.clock()
            successor = chunks_planned(plan, chunk.video_id, chunk.epoch, [following], now)
            await self._context.publisher.publish(*successor)

    @retry_while_unavailable
    async def _forget_attempts(self, chunk: ChunkPlanned) -> None:
        await self._context.attempts.forget(_key(chunk))

    @retry_while_unavailable
    async def _discard(self, chunk: ChunkPlanned) -> None:
        """Nothing stays of a chunk that is not wanted, unless it is a duplicate of one that a finished task shows."""
        log.info("chunk_cancelled")
        CHUNKS.labels("cancelled").inc()
        task = await self._context.store.tasks.get(task_id(chunk.video_id, chunk.epoch))
        if task is None or task.status != lifecycle.DONE:
            await self._context.objects.delete_prefix(_crops(chunk))
        await self._context.attempts.forget(_key(chunk))


def _key(chunk: ChunkPlanned) -> str:
    return chunk_key(chunk.video_id, chunk.epoch, chunk.chunk)


def _crops(chunk: ChunkPlanned) -> str:
    return f"{crops_prefix(chunk.video_id, chunk.epoch)}{chunk.chunk}-"


def _seconds(chunk: ChunkPlanned, plan: PlanRecord | None) -> float:
    """How much video there is in the chunk."""
    end = chunk.end if chunk.end is not None else plan.duration if plan else 0.0
    return max(0.0, end - (chunk.start or 0.0))


def _bounds(chunk: ChunkPlanned, context: WorkerContext) -> Bounds:
    """What the gallery's settings ask for costs more; what the file says of itself counts for nothing."""
    settings = context.settings
    slower = _CNN_IS_SLOWER if chunk.settings.detector == "cnn" else 1.0
    return Bounds(slower * settings.job_cpu_seconds, slower * settings.job_seconds, settings.child_memory_bytes)
