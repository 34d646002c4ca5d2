"""One video that was announced: probe it in a child, store how it is cut, say so, and hand out its first chunks.

The plan that was stored first stands: whoever repeats this hands out the same chunks.
"""

import logging
import time

from castlist.contract import events, values
from castlist.contract.codec import Poison
from castlist.contract.events import Event
from castlist.contract.ids import attempt_key, event_id, task_id
from castlist.ports.documents import Document
from castlist.ports.errors import AlreadyExists, ObjectMissing
from castlist.service.json_logging import about
from castlist.store.collections import GALLERIES, PLANS
from castlist.tasks import registration
from frame_workers.attempts import GaveUp
from frame_workers.context import Workshop
from frame_workers.handlers.chunk_events import chunk_planned
from frame_workers.object_cache import ObjectChanged
from frame_workers.running_jobs import Stopped
from frame_workers.slots.child import Bounds
from frame_workers.slots.pool import Pool
from frame_workers.slots.protocol import Frame, Refused

log = logging.getLogger(__name__)
_BYTES_PER_SECOND = 10_000_000  # that at least are demuxed


class Rejected(Exception):
    """There is no plan for this video; `bury` if an operator should see its announcement."""

    def __init__(self, code: str, message: str, bury: bool = False) -> None:
        super().__init__(message)
        self.code, self.bury = code, bury


class Planning:
    """The handler of `video.uploaded`. `window`: how many chunks of one video may wait at a time."""

    def __init__(self, shop: Workshop, pool: Pool, window: int) -> None:
        self._shop, self._pool, self._window = shop, pool, window

    async def handle(self, uploaded: Event) -> None:
        """Returns when the message may be acknowledged; Poison if it belongs among the dead letters too."""
        assert isinstance(uploaded, events.VideoUploaded)
        shop, outlast = self._shop, self._shop.pulse.outlast
        attempt = attempt_key(uploaded.video_id, uploaded.epoch)
        with about(video=uploaded.video_id, task=task_id(uploaded.video_id, uploaded.epoch)):
            try:
                await outlast(lambda: registration.register(shop.documents, uploaded, shop.clock()))
            except Poison as poison:
                log.warning("not a video of ours", extra={"reason": str(poison)})
                return  # the aggregator reads this topic too, and buries it
            try:
                plan = await shop.running.stoppable(attempt, outlast(lambda: self._plan(uploaded)))
            except Stopped:
                log.info("a plan is not wanted any more")
            except Rejected as rejected:
                await self.reject(uploaded, rejected)
            else:
                await outlast(lambda: self._announce(uploaded, plan))
            await outlast(lambda: shop.trials.forget(_key(uploaded)))

    async def give_up(self, uploaded: Event, error: Exception) -> None:
        """Reject a video over a mistake of ours."""
        assert isinstance(uploaded, events.VideoUploaded)
        await self.reject(uploaded, Rejected("internal", f"{type(error).__name__}: {error}"[:500], bury=True))

    async def reject(self, uploaded: events.VideoUploaded, rejected: Rejected) -> None:
        """Say that this video cannot be worked through; Poison if it is to be buried."""
        log.warning("a video was rejected", extra={"code": rejected.code, "reason": str(rejected)})
        event = events.VideoRejected(
            event_id=event_id("VideoRejected", uploaded.video_id, uploaded.epoch, rejected.code),
            occurred_at=self._shop.clock(),
            video_id=uploaded.video_id,
            epoch=uploaded.epoch,
            gallery=uploaded.gallery,
            code=rejected.code,
            message=str(rejected),
        )
        await self._shop.pulse.outlast(lambda: self._shop.publisher.publish(event))
        if rejected.bury:
            raise Poison(f"{rejected.code}: {rejected}")

    async def _plan(self, uploaded: events.VideoUploaded) -> Document:
        """The plan that stands. Raises Rejected, or Stopped if nobody wants it."""
        documents, began = self._shop.documents, time.monotonic()
        await self._shop.ensure_wanted(uploaded.video_id, uploaded.epoch)
        attempt = attempt_key(uploaded.video_id, uploaded.epoch)
        plan = await documents.get(PLANS, attempt)
        if plan is not None:
            return plan
        stored = await self._object(uploaded)
        found = await self._probe(uploaded, stored)
        gallery = await documents.get(GALLERIES, uploaded.gallery) or {}
        plan = {
            "_id": attempt,
            "gallery": uploaded.gallery,
            "object": stored.model_dump(),
            "chunks": found["chunks"],
            "settings": values.MatchSettings.model_validate(gallery.get("settings") or {}).model_dump(),
            "window": self._window,
            "duration": found["duration"],
            "width": found["width"],
            "height": found["height"],
            "frame_rate": found["frame_rate"],
            "warnings": found["warnings"],
            "created_at": self._shop.clock(),
        }
        try:
            await documents.insert(PLANS, plan)
        except AlreadyExists:
            return await documents.get(PLANS, attempt) or plan
        took = round(time.monotonic() - began, 3)
        log.info("planned", extra={"took": took, "chunks": len(found["chunks"]), "duration": found["duration"]})
        return plan

    async def _object(self, uploaded: events.VideoUploaded) -> values.StoredObject:
        """The object with the etag that it has now, if that is the one announced."""
        announced = uploaded.object
        try:
            info = await self._shop.objects.head(announced.key, bucket=announced.bucket)
        except ObjectMissing as error:
            raise Rejected("object_missing", f"There is no object {announced.key} in {announced.bucket}.") from error
        if announced.etag is not None and announced.etag.strip('"') != info.etag:
            raise Rejected("object_changed", f"The object has the etag {info.etag}, announced was {announced.etag}.")
        limit = self._shop.settings.largest_video_bytes
        if info.bytes > limit:
            raise Rejected("limits_exceeded", f"The object has {info.bytes} bytes; up to {limit} are taken.")
        return announced.model_copy(update={"etag": info.etag})

    async def _probe(self, uploaded: events.VideoUploaded, stored: values.StoredObject) -> Frame:
        settings = self._shop.settings
        try:
            async with self._shop.cache.hold(stored) as path, self._pool.slot(uploaded.video_id) as child:
                seconds = settings.job_seconds + path.stat().st_size / _BYTES_PER_SECOND
                bounds = Bounds(seconds, settings.child_memory_bytes)
                return await self._shop.trials.run(
                    _key(uploaded), lambda: child.run({"path": str(path)}, bounds, lambda _: None)
                )
        except ObjectChanged as error:
            raise Rejected("object_changed", str(error)) from error
        except ObjectMissing as error:
            raise Rejected("object_missing", str(error)) from error
        except Refused as refused:
            raise Rejected(refused.code, str(refused)) from refused
        except GaveUp as gave_up:
            raise Rejected(gave_up.code, str(gave_up), bury=True) from gave_up

    async def _announce(self, uploaded: events.VideoUploaded, plan: Document) -> None:
        now = self._shop.clock()
        planned = events.VideoPlanned(
            event_id=event_id("VideoPlanned", plan["_id"]),
            occurred_at=now,
            video_id=uploaded.video_id,
            epoch=uploaded.epoch,
            gallery=plan["gallery"],
            chunks=len(plan["chunks"]),
            duration=plan["duration"],
            width=plan["width"],
            height=plan["height"],
            frame_rate=plan["frame_rate"],
            warnings=tuple(plan["warnings"]),
        )
        first = range(min(plan["window"], len(plan["chunks"])))
        chunks = [chunk_planned(plan, uploaded.video_id, uploaded.epoch, chunk, now) for chunk in first]
        await self._shop.publisher.publish(planned, *chunks)


def _key(uploaded: events.VideoUploaded) -> str:
    return f"{attempt_key(uploaded.video_id, uploaded.epoch)}:plan"
