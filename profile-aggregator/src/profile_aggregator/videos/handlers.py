"""What happens to one video: registered, planned, its chunks received, complete.

Every step may come twice, or out of order.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import ValidationError

from castlist.contract import commands, events, values
from castlist.contract.codec import encode
from castlist.contract.ids import attempt_key, chunk_key, crops_prefix, event_id, ledger_key, task_id
from castlist.ports.documents import Document, Documents
from castlist.ports.errors import AlreadyExists
from castlist.ports.messages import Publisher
from castlist.ports.objects import Objects
from castlist.store.collections import CHUNKS, LEDGER, PENDING, PLANS, TASKS, VIDEOS
from castlist.tasks import cancels, lifecycle, registration
from castlist_identity.domain import Track, VideoPeople
from castlist_identity.video_people import PeopleSettings, people_of_video
from profile_aggregator.commits.commands import PEOPLE
from profile_aggregator.videos.completion import Received, finished_chunks, missing_chunks, progress
from profile_aggregator.videos.person_records import person_document, tracks_of

log = logging.getLogger(__name__)
_PROGRESS_EVERY = 0.5
_FACTS = ("duration", "width", "height", "frame_rate")


class Videos:
    """The handlers of events that are keyed by video."""

    def __init__(
        self, documents: Documents, objects: Objects, publisher: Publisher, clock: Callable[[], datetime]
    ) -> None:
        self._documents, self._objects, self._publisher, self._clock = documents, objects, publisher, clock
        self._running: dict[str, dict[int, float]] = defaultdict(dict)
        self._shown: dict[str, float] = {}

    async def uploaded(self, event: events.VideoUploaded) -> None:
        """A video that another system announced gets its records here; ours has them already. Poison on a conflict."""
        await registration.register(self._documents, event, self._clock())

    async def planned(self, event: events.VideoPlanned) -> None:
        """Work has begun. What is planned is shown with the plan's settings, in one change."""
        now = self._clock()
        facts = {k: getattr(event, k) for k in _FACTS}
        await self._documents.update(VIDEOS, {"_id": event.video_id}, {"$set": facts})
        change = {
            "$set": {"status": lifecycle.PROCESSING, "updated_at": now},
            "$addToSet": {"warnings": {"$each": list(event.warnings)}},
        }
        task = await self._documents.update(TASKS, _open(event.video_id, event.epoch), change)
        if task is not None and task["started_at"] is None:
            started = {**_open(event.video_id, event.epoch), "started_at": None}
            await self._documents.update(TASKS, started, {"$set": {"started_at": now}})
        await self.complete(event.video_id, event.epoch)

    async def encoded(self, event: events.FacesEncoded) -> None:
        """A chunk's result: stored under its id, then the video looked at whether it is complete."""
        if not await lifecycle.is_wanted(self._documents, event.video_id, event.epoch):
            await self._discard_late(event)
            return
        key = chunk_key(event.video_id, event.epoch, event.chunk)
        stored = {
            "_id": f"{key}:{event.part}",
            "attempt": attempt_key(event.video_id, event.epoch),
            "chunk": event.chunk,
            "part": event.part,
            "parts": event.parts,
            "event": encode(event).decode(),
            "at": self._clock(),
        }
        try:
            await self._documents.insert(CHUNKS, stored)
        except AlreadyExists:
            log.info("duplicate result", extra={"chunk": event.chunk, "part": event.part})
        await self.complete(event.video_id, event.epoch)

    async def _discard_late(self, event: events.FacesEncoded) -> None:
        """A result nobody wants any more. What a done task shows stays; crops of any other go."""
        task = await self._documents.get(TASKS, task_id(event.video_id, event.epoch))
        if task is None or task["status"] != lifecycle.DONE:
            prefix = f"{crops_prefix(event.video_id, event.epoch)}{event.chunk}-"
            await self._objects.delete_prefix(prefix)

    async def chunk_failed(self, event: events.ChunkFailed) -> None:
        """A chunk that cannot be worked through fails its video's task."""
        await self._fail(event.video_id, event.epoch, event.code, event.message)

    async def rejected(self, event: events.VideoRejected) -> None:
        """A video that cannot be worked through at all."""
        await self._fail(event.video_id, event.epoch, event.code, event.message)

    async def _fail(self, video_id: str, epoch: int, code: str, message: str) -> None:
        await lifecycle.finish(self._documents, video_id, epoch, lifecycle.FAILED, self._clock(), code, message)
        task = await self._documents.get(TASKS, task_id(video_id, epoch))
        if task is not None and task["status"] in (lifecycle.FAILED, lifecycle.CANCELLED):
            await self.forget(video_id, epoch)

    async def cancelled(self, event: commands.CancelVideo) -> None:
        """Remembered whatever comes later. What the task has left behind goes, unless it was done first."""
        now = self._clock()
        epoch = await cancels.resolve_cancel(self._documents, event, now)
        await cancels.cancel(self._documents, event.video_id, epoch, now)
        task = await self._documents.get(TASKS, task_id(event.video_id, epoch))
        if task is None or task["status"] in (lifecycle.FAILED, lifecycle.CANCELLED):
            await self.forget(event.video_id, epoch)

    async def forget(self, video_id: str, epoch: int) -> None:
        """Remove what an attempt that will never be committed has left behind."""
        attempt = attempt_key(video_id, epoch)
        self._running.pop(attempt, None)
        self._shown.pop(attempt, None)
        await self._objects.delete_prefix(crops_prefix(video_id, epoch))
        await self._documents.delete(CHUNKS, {"attempt": attempt})
        await self._documents.delete(PENDING, {"_id": attempt})

    async def progressed(self, event: events.ChunkProgressed) -> None:
        """How far a running chunk is; shown at most twice a second."""
        attempt = attempt_key(event.video_id, event.epoch)
        self._running[attempt][event.chunk] = event.fraction
        if time.monotonic() - self._shown.get(attempt, 0.0) < _PROGRESS_EVERY:
            return
        plan = await self._documents.get(PLANS, attempt)
        if plan is not None:
            done = finished_chunks(await self._received(attempt))
            await self._show(event.video_id, event.epoch, plan, done)

    async def _show(self, video_id: str, epoch: int, plan: Document, done: frozenset[int]) -> None:
        attempt, planned = attempt_key(video_id, epoch), len(plan["chunks"])
        running = self._running[attempt]
        for chunk in done & running.keys():
            del running[chunk]
        self._shown[attempt] = time.monotonic()
        change = {
            "$max": {"progress": progress(planned, len(done), running), "chunks_done": len(done)},
            "$set": {
                "updated_at": self._clock(),
                "status": lifecycle.PROCESSING,
                "chunks_planned": planned,
                "settings": values.MatchSettings.model_validate(plan.get("settings") or {}).model_dump(),
            },
        }
        await self._documents.update(TASKS, _open(video_id, epoch), change)

    async def _received(self, attempt: str) -> list[Received]:
        found = await self._documents.find(CHUNKS, {"attempt": attempt}, fields=("chunk", "part", "parts"))
        return [Received(one["chunk"], one["part"], one["parts"]) for one in found]

    async def complete(self, video_id: str, epoch: int) -> None:
        """If every planned chunk is there: find the video's people and hand them to their gallery. Safe to repeat."""
        attempt = attempt_key(video_id, epoch)
        plan = await self._documents.get(PLANS, attempt)
        if plan is None:
            return
        planned = len(plan["chunks"])
        done = finished_chunks(await self._received(attempt))
        missing = missing_chunks(planned, done)
        if not missing or time.monotonic() - self._shown.get(attempt, 0.0) >= _PROGRESS_EVERY:
            await self._show(video_id, epoch, plan, done)
        if missing:
            return
        gallery = str(plan["gallery"])
        if await self._documents.get(LEDGER, ledger_key(gallery, video_id, epoch)) is not None:
            return
        if not await lifecycle.is_wanted(self._documents, video_id, epoch):
            await self.forget(video_id, epoch)
            return
        pending = await self._documents.get(PENDING, attempt) or await self._find_people(plan, video_id, epoch)
        if pending is not None:
            await self._publisher.publish(
                events.VideoPeopleFound(
                    event_id=event_id("VideoPeopleFound", attempt),
                    occurred_at=self._clock(),
                    video_id=video_id,
                    epoch=epoch,
                    gallery=gallery,
                    people=len(pending["persons"]),
                )
            )

    async def _find_people(self, plan: Document, video_id: str, epoch: int) -> Document | None:
        attempt = attempt_key(video_id, epoch)
        stored = await self._documents.find(CHUNKS, {"attempt": attempt}, sort=[("chunk", 1), ("part", 1)])
        try:
            results = [events.FacesEncoded.model_validate_json(one["event"]) for one in stored]
        except ValidationError as error:
            # Only a mistake of ours can store such a thing; it must not stop the stream for everybody else.
            log.exception("a stored result cannot be read")
            message = f"A stored result cannot be read: {error.error_count()} errors."
            await self._fail(video_id, epoch, "internal", message)
            return None
        if sum(result.frames for result in results) == 0:
            await self._fail(video_id, epoch, "unreadable", "Not one frame of it could be decoded.")
            return None
        settings = values.MatchSettings.model_validate(plan.get("settings") or {})
        people = await asyncio.to_thread(_people, results, settings)
        change = {
            "$set": {"faces_skipped": _skipped(results, people)},
            "$addToSet": {"warnings": {"$each": sorted({w for result in results for w in result.warnings})}},
        }
        await self._documents.update(TASKS, _open(video_id, epoch), change)
        if facts := plan.get("facts"):  # the event that says the same may be late
            await self._documents.update(VIDEOS, {"_id": video_id}, {"$set": {k: facts[k] for k in _FACTS}})
        pending = {
            "_id": attempt,
            "kind": PEOPLE,
            "gallery": plan["gallery"],
            "video_id": video_id,
            "epoch": epoch,
            "persons": [person_document(person, plan["gallery"], video_id, epoch) for person in people.people],
            "created_at": self._clock(),
        }
        try:
            await self._documents.insert(PENDING, pending)
        except AlreadyExists:
            log.info("pending already")
        self._running.pop(attempt, None)
        self._shown.pop(attempt, None)
        return pending


def _open(video_id: str, epoch: int) -> Document:
    return {"_id": task_id(video_id, epoch), "status": {"$in": list(lifecycle.OPEN)}}


def _people(results: Sequence[events.FacesEncoded], settings: values.MatchSettings) -> VideoPeople:
    tracks: list[Track] = [track for result in results for track in tracks_of(result)]
    rules = PeopleSettings(distance=settings.in_video_distance, min_sightings=settings.minimum_sightings)
    return people_of_video(tracks, rules)


def _skipped(results: Sequence[events.FacesEncoded], people: VideoPeople) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int, people.skipped)
    for result in results:
        for reason, count in result.faces_skipped.items():
            total[reason] += count
    return dict(sorted(total.items()))
