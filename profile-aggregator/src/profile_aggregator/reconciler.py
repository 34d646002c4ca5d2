"""What an open task or a pending commit lacks is announced again from MongoDB.

Kafka's data may be lost, even all of it.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from castlist.contract import events, values
from castlist.contract.ids import attempt_key, command_ledger_key, event_id
from castlist.contract.topics import GALLERY_COMMITS, PROFILE_EVENTS, VIDEO_CONTROL, VIDEO_UPLOADED
from castlist.ports.documents import Document, Documents
from castlist.ports.messages import Publisher
from castlist.ports.objects import Objects
from castlist.store import outbox
from castlist.store.collections import CHUNKS, KAFKA_OWNER, LEDGER, OUTBOX, OWNERS, PENDING, PLANS, TASKS, VIDEOS
from castlist.tasks import lifecycle, registration
from castlist_identity.reclustering import RECLUSTER
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.deletion import sweep_deleted
from profile_aggregator.videos.completion import Received, finished_chunks, missing_chunks
from profile_aggregator.videos.handlers import Videos

log = logging.getLogger(__name__)
_OUTBOX_TOPICS = [t.name for t in (PROFILE_EVENTS, GALLERY_COMMITS, VIDEO_UPLOADED, VIDEO_CONTROL)]
_LONGEST = timedelta(hours=1)


class Reconciler:
    """Run once in a few seconds; each step is what a message would have caused, and as safe to repeat."""

    def __init__(
        self,
        documents: Documents,
        objects: Objects,
        publisher: Publisher,
        videos: Videos,
        committer: Committer,
        clock: Callable[[], datetime],
        after: float,
    ) -> None:
        self._documents, self._publisher, self._videos, self._committer = documents, publisher, videos, committer
        self._objects = objects
        self._clock, self._after = clock, timedelta(seconds=after)

    async def run(self) -> None:
        """One round. Unavailable if a server is away: the next one does it."""
        await outbox.sweep(self._documents, self._publisher, self._clock(), _OUTBOX_TOPICS)
        for gallery in await self._waiting_galleries():
            await self._committer.commit(gallery)
        await sweep_deleted(self._documents, self._objects)
        lost = await self._documents.get(OWNERS, KAFKA_OWNER)
        everything = bool(lost and lost.get("topics_created"))
        for task in await self._stalled(everything):
            await self._announce(task)
        if everything:
            await self._recall_commands()
        if everything and lost is not None:
            # Only this loss is dealt with; another one meanwhile has raised the count.
            where = {"_id": KAFKA_OWNER, "topics_created": lost["topics_created"]}
            await self._documents.update(OWNERS, where, {"$set": {"topics_created": 0}})

    async def _recall_commands(self) -> None:
        """Commands that were published and not carried out go back into the outbox; the next sweep publishes them."""
        said = await self._documents.find(OUTBOX, {"topic": GALLERY_COMMITS.name}, fields=("key",))
        ledger = {command_ledger_key(one["key"], one["_id"]): one["_id"] for one in said}
        obeyed = await self._documents.find(LEDGER, {"_id": {"$in": sorted(ledger)}}, fields=("_id",))
        lost = sorted(set(ledger.values()) - {ledger[one["_id"]] for one in obeyed})
        await self._documents.update_many(OUTBOX, {"_id": {"$in": lost}}, {"$set": {"published_at": None}})

    async def _waiting_galleries(self) -> list[str]:
        before = self._clock() - timedelta(seconds=5)
        where = {"created_at": {"$lt": before}, "kind": {"$ne": RECLUSTER}}
        waiting = await self._documents.find(PENDING, where, fields=("gallery",))
        return sorted({one["gallery"] for one in waiting})

    async def _stalled(self, everything: bool) -> list[Document]:
        now = self._clock()
        where: Document = {"status": {"$in": list(lifecycle.OPEN)}}
        if not everything:
            where["updated_at"] = {"$lt": now - self._after}
        found = await self._documents.find(TASKS, where, sort=[("created_at", 1)])
        return [task for task in found if everything or task.get("announce_after", now) <= now]

    async def _announce(self, task: Document) -> None:
        now, times = self._clock(), int(task.get("announced", 0))
        log.info("announcing again", extra={"video": task["video_id"], "epoch": task["epoch"], "times": times + 1})
        video = await self._documents.get(VIDEOS, task["video_id"])
        plan = await self._documents.get(PLANS, attempt_key(task["video_id"], task["epoch"]))
        if video is not None and plan is None:
            await self._publisher.publish(registration.announcement(video, task["epoch"], now))
        elif plan is not None:
            await self._announce_chunks(plan, task, now)
        # A task may merely wait behind others: ask less and less often.
        wait = min(_LONGEST, self._after * 2 ** min(times + 1, 12))
        await self._documents.update(
            TASKS, {"_id": task["_id"]}, {"$set": {"announce_after": now + wait, "announced": times + 1}}
        )

    async def _announce_chunks(self, plan: Document, task: Document, now: datetime) -> None:
        received = await self._documents.find(CHUNKS, {"attempt": plan["_id"]}, fields=("chunk", "part", "parts"))
        done = finished_chunks(Received(one["chunk"], one["part"], one["parts"]) for one in received)
        missing = missing_chunks(len(plan["chunks"]), done)
        if not missing:
            await self._videos.complete(task["video_id"], task["epoch"])
            return
        chunks = list(chunks_again(plan, task, missing[: plan["window"]], now))
        await self._publisher.publish(*chunks)


def chunks_again(plan: Document, task: Document, chunks: list[int], now: datetime) -> Iterator[events.ChunkPlanned]:
    """Chunks of a stored plan, as they were announced first."""
    for chunk in chunks:
        yield events.ChunkPlanned(
            event_id=event_id("ChunkPlanned", plan["_id"], chunk),
            occurred_at=now,
            video_id=task["video_id"],
            epoch=task["epoch"],
            gallery=plan["gallery"],
            object=values.StoredObject.model_validate(plan["object"]),
            chunk=chunk,
            chunks=len(plan["chunks"]),
            start=plan["chunks"][chunk]["start"],
            end=plan["chunks"][chunk]["end"],
            window=plan["window"],
            settings=values.MatchSettings.model_validate(plan.get("settings") or {}),
        )
