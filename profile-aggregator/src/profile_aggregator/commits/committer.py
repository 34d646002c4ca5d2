"""Committing what is pending for a gallery: any number of times, from any number of processes, with one effect.

Everything that one commit changes happens in one transaction, which a ledger entry and a compare-and-swap on the
gallery's version guard. Clustering is done before it, outside of the event loop.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from castlist.contract import commands
from castlist.contract.ids import crops_prefix
from castlist.ports.documents import Document, Documents
from castlist.ports.errors import AlreadyExists, Unavailable
from castlist.ports.messages import Publisher
from castlist.ports.objects import Objects
from castlist.service.metrics import COMMIT_SECONDS, COMMITS, COMMITTED_VIDEOS
from castlist.store import outbox
from castlist.store.collections import LEDGER, PENDING, VIDEOS
from castlist.tasks import lifecycle, registration
from castlist_identity.reclustering import RECLUSTER, Worked, next_portion, recluster_key, todo_of, work_out
from profile_aggregator.commits.commands import PEOPLE, Command, command_of, ledger_entry, stage
from profile_aggregator.commits.commit_planner import Matcher, Plan, Stale
from profile_aggregator.commits.commit_transaction import Ended, write
from profile_aggregator.commits.deletion import forget_video
from profile_aggregator.commits.gallery_cache import Galleries

log = logging.getLogger(__name__)
_PATIENCE = 50
"""How often a batch is matched again because the gallery moved on, before others get their turn."""


class Committer:
    """Commits pending videos; one instance a process."""

    def __init__(
        self,
        documents: Documents,
        objects: Objects,
        publisher: Publisher,
        galleries: Galleries,
        clock: Callable[[], datetime],
        batch: int,
    ) -> None:
        self._documents, self._objects, self._publisher = documents, objects, publisher
        self._galleries, self._clock, self._batch = galleries, clock, batch
        self._matcher = Matcher(documents, clock)
        self._worked: dict[str, Worked] = {}
        self._publishing: dict[str, asyncio.Task[None]] = {}

    async def stage(self, command: Command) -> None:
        """Remember a command; the next `commit` obeys it, once."""
        await registration.ensure_gallery(self._documents, command.gallery, self._clock())
        await stage(self._documents, command, self._clock())

    async def commit(self, gallery: str) -> None:
        """Commit until nothing is pending for `gallery`. Unavailable if a server is away; safe to repeat."""
        where = {"gallery": gallery, "kind": {"$ne": RECLUSTER}}
        pending: list[Document] = [{}]
        while pending:
            # Let go of in between: a re-clustering takes turns with the videos.
            async with self._galleries.lock(gallery):
                pending = await self._documents.find(PENDING, where, sort=[("_id", 1)], limit=self._batch)
                if pending:
                    await self._commit_some(gallery, pending)
        await self._published(gallery)

    async def recluster(self, gallery: str) -> bool:
        """Reconsider the next portion of who is to be reconsidered; False once nobody is.

        A large component is clustered while others commit, and again if they touched it. Unavailable if a server is
        away; safe to repeat, and to leave off at any time.
        """
        async with self._galleries.lock(gallery):
            loaded = await self._galleries.current(gallery)
            pending = await self._documents.get(PENDING, recluster_key(gallery))
            if pending is None:
                self._worked.pop(gallery, None)
                return False
            todo = todo_of(pending)
            known = loaded.gallery
            portion = await asyncio.to_thread(next_portion, known, todo, loaded.seen)
            members = frozenset(known.members[key] for key in portion.keys)
            worked = self._worked.get(gallery)
            if not portion.large or (worked is not None and worked.members == members):
                try:
                    await self._carry_out(await self._matcher.for_portion(gallery, portion, todo, loaded, worked))
                    await self._published(gallery)
                except (Stale, AlreadyExists):
                    self._galleries.forget(gallery)
                return True
            distance, links = known.distance, known.links
        self._worked[gallery] = await asyncio.to_thread(work_out, members, distance, links)
        return True

    async def _commit_some(self, gallery: str, pending: Sequence[Document]) -> None:
        # A command is a commit of its own.
        people = [one for one in pending if one["kind"] == PEOPLE] if pending[0]["kind"] == PEOPLE else pending[:1]
        batch = await self._admissible(gallery, people)
        attempts = 0
        while batch:
            attempts += 1
            started = time.monotonic()
            try:
                loaded = await self._galleries.current(gallery)
                await self._carry_out(await self._matcher.for_batch(gallery, batch, loaded))
            except (Stale, AlreadyExists) as stale:
                if attempts > _PATIENCE:
                    raise Unavailable(f"gallery {gallery} keeps changing: {stale!r}"[:300]) from stale
                COMMITS.labels("stale").inc()
                self._galleries.forget(gallery)
                batch = await self._admissible(gallery, batch)
                continue
            except Ended as ended:
                COMMITS.labels("ended").inc()
                await self._drop(ended.pending)
                batch = [one for one in batch if one["_id"] != ended.pending["_id"]]
                continue
            except Unavailable:
                raise
            except Exception:
                COMMITS.labels("failed").inc()
                self._galleries.forget(gallery)
                await self._isolate(gallery, batch)
                return
            COMMIT_SECONDS.observe(time.monotonic() - started)
            COMMITTED_VIDEOS.inc(len(batch))
            await self._clean_up(batch)
            return

    async def _carry_out(self, plan: Plan) -> None:
        """Write the plan and publish what it says. Stale, Ended or AlreadyExists: then nothing was written."""
        try:
            said = await self._documents.transaction(lambda tx: write(tx, plan, self._clock()))
        except Unavailable:
            self._galleries.forget(plan.gallery)  # whether it was written is unknown
            raise
        await asyncio.to_thread(plan.succeeded)
        COMMITS.labels("done").inc()
        log.info(
            "committed",
            extra={
                "gallery": plan.gallery,
                "gallery_version": plan.loaded.version,
                "videos": [one["_id"] for one in plan.batch],
                "moved": len(plan.made.moved),
                "distance": plan.distance,
            },
        )
        # While the next commit is worked out; in order, and what fails is in the outbox.
        await self._published(plan.gallery)
        publishing = outbox.publish(self._documents, self._publisher, said, self._clock())
        self._publishing[plan.gallery] = asyncio.create_task(publishing)

    async def _published(self, gallery: str) -> None:
        if (publishing := self._publishing.pop(gallery, None)) is not None:
            await publishing

    async def _isolate(self, gallery: str, batch: Sequence[Document]) -> None:
        """Something about this batch fails: halve it until it is one video, whose task fails."""
        if len(batch) > 1:
            half = len(batch) // 2
            await self._commit_some(gallery, batch[:half])
            await self._commit_some(gallery, batch[half:])
            return
        log.exception("cannot commit", extra={"pending": batch[0]["_id"]})
        one = batch[0]
        if one["kind"] != PEOPLE:
            # Dealt with: it would fail again, and its gallery would never settle.
            with contextlib.suppress(AlreadyExists):
                await self._documents.insert(LEDGER, {"_id": ledger_entry(one), "at": self._clock(), "failed": True})
            await self._documents.delete(PENDING, {"_id": one["_id"]})
            return
        await lifecycle.finish(
            self._documents,
            one["video_id"],
            one["epoch"],
            lifecycle.FAILED,
            self._clock(),
            "internal",
            "Its people could not be committed to the gallery; the log says why.",
        )
        await self._drop(one)

    async def _admissible(self, gallery: str, pending: Sequence[Document]) -> list[Document]:
        """What of `pending` is still to be committed: not in the ledger, and no newer epoch is there or beside it."""
        keys = {one["_id"]: ledger_entry(one) for one in pending}
        applied = {found["_id"] for found in await self._documents.find(LEDGER, {"_id": {"$in": list(keys.values())}})}
        known = await self._documents.find(
            VIDEOS,
            {"_id": {"$in": [one["video_id"] for one in pending if one["kind"] == PEOPLE]}},
            fields=("committed_epoch",),
        )
        newest = {video["_id"]: int(video.get("committed_epoch") or 0) for video in known}
        for one in pending:
            if one["kind"] == PEOPLE:
                newest[one["video_id"]] = max(newest.get(one["video_id"], 0), one["epoch"])
        admissible: list[Document] = []
        for one in pending:
            if keys[one["_id"]] in applied:
                await self._documents.delete(PENDING, {"_id": one["_id"]})
            elif one["kind"] == PEOPLE and one["epoch"] < newest[one["video_id"]]:
                await self._supersede(one)
            else:
                admissible.append(one)
        return admissible

    async def _supersede(self, one: Document) -> None:
        message = "A newer task on the same video took over."
        await lifecycle.finish(
            self._documents, one["video_id"], one["epoch"], lifecycle.CANCELLED, self._clock(), "superseded", message
        )
        await self._drop(one)

    async def _drop(self, one: Document) -> None:
        """Nothing of it reaches a profile; its crops go first, so that a crash in between leaves the reminder."""
        await self._objects.delete_prefix(crops_prefix(one["video_id"], one["epoch"]))
        await self._documents.delete(PENDING, {"_id": one["_id"]})

    async def _clean_up(self, batch: Sequence[Document]) -> None:
        """What these replaced or deleted is nobody's any more."""
        for one in batch:
            if (command := command_of(one)) is not None:
                if isinstance(command, commands.DeleteVideo):
                    await forget_video(self._documents, self._objects, command.video_id)
                continue
            for epoch in range(max(1, one["epoch"] - 3), one["epoch"]):
                await self._objects.delete_prefix(crops_prefix(one["video_id"], epoch))
