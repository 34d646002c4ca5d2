"""One chunk: work it through in a child, put its crops into S3, say what was found, hand out a successor.

Every step may be repeated; the message is acknowledged when all of them are done.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from castlist.contract import events
from castlist.contract.codec import Poison
from castlist.contract.events import Event
from castlist.contract.ids import attempt_key, chunk_key, crops_prefix, event_id, task_id
from castlist.ports.documents import Document
from castlist.ports.errors import ObjectMissing
from castlist.service.json_logging import about
from castlist.service.metrics import CHUNK_SECONDS as TOOK
from castlist.service.metrics import CHUNKS, FACES_ENCODED, VIDEO_SECONDS
from castlist.store.collections import CHUNKS as STORED
from castlist.store.collections import PLANS, TASKS
from castlist.tasks import lifecycle
from castlist_vision.chunk_plan import CHUNK_SECONDS
from frame_workers.attempts import GaveUp
from frame_workers.context import Workshop
from frame_workers.handlers.chunk_events import chunk_planned, crops_of, faces_encoded
from frame_workers.handlers.progress_reports import reporting
from frame_workers.object_cache import ObjectChanged
from frame_workers.running_jobs import Stopped
from frame_workers.slots.child import Bounds
from frame_workers.slots.pool import Pool
from frame_workers.slots.protocol import Frame, Refused

log = logging.getLogger(__name__)
_CROPS_AT_ONCE = 8
_CNN_IS_SLOWER = 10.0


@dataclass(frozen=True)
class Failure:
    """Why a chunk cannot be worked through; `bury` if an operator should see the message that led here."""

    code: str
    message: str
    bury: bool = False


class Chunks:
    """The handler of `video.chunks`."""

    def __init__(self, shop: Workshop, pool: Pool) -> None:
        self._shop, self._pool = shop, pool

    async def handle(self, chunk: Event) -> None:
        """Returns when the message may be acknowledged; Poison if it belongs among the dead letters too."""
        assert isinstance(chunk, events.ChunkPlanned)
        outlast = self._shop.pulse.outlast
        attempt = attempt_key(chunk.video_id, chunk.epoch)
        with about(video=chunk.video_id, task=task_id(chunk.video_id, chunk.epoch), chunk=chunk.chunk):
            plan = await outlast(lambda: self._shop.documents.get(PLANS, attempt))
            try:
                if not await outlast(lambda: self._is_stored(chunk)):
                    outcome = await self._shop.running.stoppable(attempt, outlast(lambda: self._work(chunk, plan)))
                    if isinstance(outcome, Failure):
                        await self.fail(chunk, outcome)
                        return
                    await outlast(lambda: self._tell(chunk, outcome))
            except Stopped:
                log.info("a chunk is not wanted any more")
                CHUNKS.labels("cancelled").inc()
                await outlast(lambda: self._clean(chunk))
                return
            await outlast(lambda: self._hand_out(chunk, plan))
            await outlast(lambda: self._shop.trials.forget(_key(chunk)))

    async def give_up(self, chunk: Event, error: Exception) -> None:
        """Fail a chunk over a mistake of ours."""
        assert isinstance(chunk, events.ChunkPlanned)
        await self.fail(chunk, Failure("internal", f"{type(error).__name__}: {error}"[:500], bury=True))

    async def fail(self, chunk: events.ChunkPlanned, failure: Failure) -> None:
        """Say that this chunk cannot be worked through; Poison if it is to be buried."""
        CHUNKS.labels(failure.code).inc()
        log.warning("a chunk failed", extra={"code": failure.code, "reason": failure.message})
        failed = events.ChunkFailed(
            event_id=event_id("ChunkFailed", _key(chunk), failure.code),
            occurred_at=self._shop.clock(),
            video_id=chunk.video_id,
            epoch=chunk.epoch,
            gallery=chunk.gallery,
            chunk=chunk.chunk,
            code=failure.code,
            message=failure.message,
        )
        await self._shop.pulse.outlast(lambda: self._shop.publisher.publish(failed))
        if failure.bury:
            raise Poison(f"{failure.code}: {failure.message}")

    async def _is_stored(self, chunk: events.ChunkPlanned) -> bool:
        """Whether the result is known already: then only the successor may be missing. Stopped if nobody wants it."""
        await self._shop.ensure_wanted(chunk.video_id, chunk.epoch)
        where = {"attempt": attempt_key(chunk.video_id, chunk.epoch), "chunk": chunk.chunk}
        parts = await self._shop.documents.find(STORED, where, fields=("parts",))
        return bool(parts) and len(parts) >= parts[0]["parts"]

    async def _work(self, chunk: events.ChunkPlanned, plan: Document | None) -> Frame | Failure:
        began, seconds = time.monotonic(), _seconds(chunk, plan)
        bounds = _bounds(chunk, seconds, self._shop)
        try:
            async with self._shop.cache.hold(chunk.object) as path, self._pool.slot(chunk.video_id) as child:
                await self._shop.ensure_wanted(chunk.video_id, chunk.epoch)  # it may have waited for long
                order = {"path": str(path), **_order(chunk)}

                async def job() -> Frame:
                    async with reporting(self._shop, chunk) as progress:
                        return await child.run(order, bounds, progress)

                started = time.monotonic()
                result = await self._shop.trials.run(_key(chunk), job)
        except ObjectChanged as error:
            return Failure("object_changed", str(error))
        except ObjectMissing as error:
            return Failure("object_missing", str(error))
        except Refused as refused:
            return Failure(refused.code, str(refused))
        except GaveUp as gave_up:
            return Failure(gave_up.code, str(gave_up), bury=True)
        took = time.monotonic() - started
        TOOK.observe(took)
        VIDEO_SECONDS.inc(seconds)
        FACES_ENCODED.inc(sum(len(track["faces"]) for track in result["tracks"]))
        told = {"waited": round(started - began, 3), "took": round(took, 3), "seconds": seconds}
        log.info("worked through", extra={**told, "tracks": len(result["tracks"])})
        return result

    async def _tell(self, chunk: events.ChunkPlanned, result: Frame) -> None:
        at_once = asyncio.Semaphore(_CROPS_AT_ONCE)

        async def put(key: str, jpeg: bytes) -> None:
            async with at_once:
                await self._shop.objects.put(key, jpeg, "image/jpeg")

        await asyncio.gather(*(put(key, jpeg) for key, jpeg in crops_of(chunk, result).items()))
        await self._shop.ensure_wanted(chunk.video_id, chunk.epoch)
        await self._shop.publisher.publish(*faces_encoded(chunk, result, self._shop.clock()))
        CHUNKS.labels("done").inc()

    async def _hand_out(self, chunk: events.ChunkPlanned, plan: Document | None) -> None:
        """A finished chunk makes room for the one that is a window behind it."""
        following = chunk.chunk + chunk.window
        if plan is not None and following < len(plan["chunks"]):
            await self._shop.publisher.publish(
                chunk_planned(plan, chunk.video_id, chunk.epoch, following, self._shop.clock())
            )

    async def _clean(self, chunk: events.ChunkPlanned) -> None:
        """Nothing stays of a chunk that nobody wants, unless it is a duplicate of one that a finished task shows."""
        task = await self._shop.documents.get(TASKS, task_id(chunk.video_id, chunk.epoch))
        if task is None or task["status"] != lifecycle.DONE:
            await self._shop.objects.delete_prefix(f"{crops_prefix(chunk.video_id, chunk.epoch)}{chunk.chunk}-")
        await self._shop.trials.forget(_key(chunk))


def _key(chunk: events.ChunkPlanned) -> str:
    return chunk_key(chunk.video_id, chunk.epoch, chunk.chunk)


def _seconds(chunk: events.ChunkPlanned, plan: Document | None) -> float:
    """How much video there is in the chunk."""
    end = chunk.end if chunk.end is not None else float(plan["duration"]) if plan else 0.0
    return max(0.0, end - (chunk.start or 0.0))


def _bounds(chunk: events.ChunkPlanned, seconds: float, shop: Workshop) -> Bounds:
    settings = shop.settings
    slower = _CNN_IS_SLOWER if chunk.settings.detector == "cnn" else 1.0
    allowed = settings.job_seconds + slower * settings.job_seconds_per_second * max(seconds, CHUNK_SECONDS)
    return Bounds(allowed, settings.child_memory_bytes)


def _order(chunk: events.ChunkPlanned) -> Frame:
    looks = chunk.settings.model_dump(include={"detector", "samples_per_second", "smallest_face"})
    return {"chunk": chunk.chunk, "start": chunk.start, "end": chunk.end, "settings": looks}
