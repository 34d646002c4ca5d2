"""Committing what is pending for a gallery: any number of times, from any number of processes, with one effect.

Everything that one commit changes happens in one transaction, which a ledger entry and a compare-and-swap on the
gallery's version guard. Clustering is done before it, outside of the event loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from castlist import events, outbox, tasks
from castlist.ids import crops_prefix, derived
from castlist.metrics import COMMIT_SECONDS, COMMITS, COMMITTED_VIDEOS
from castlist.ports import AlreadyExists, Document, Documents, Objects, Publisher, Unavailable
from castlist.schema import GALLERIES, LEDGER, OUTBOX, PENDING, PERSONS, VIDEOS
from profile_aggregator import transaction
from profile_aggregator.arrival import Arrival, change_of
from profile_aggregator.commands import PEOPLE, Command, change_for, command_of, ledger_entry, stage
from profile_aggregator.deletion import forget_video
from profile_aggregator.difference import Change, Difference
from profile_aggregator.galleries import Galleries, Loaded
from profile_aggregator.gallery import Gallery
from profile_aggregator.records import member_of, places_of
from profile_aggregator.writes import Writes, needed_persons, writes

log = logging.getLogger(__name__)
_PATIENCE = 50
"""How often a batch is matched again because the gallery moved on, before others get their turn."""


class _Stale(Exception):
    """The gallery has moved on since it was read: match again."""


class _Ended(Exception):
    """The task of one of the videos ended otherwise while its people were pending."""

    def __init__(self, pending: Document) -> None:
        super().__init__(pending["_id"])
        self.pending = pending


@dataclass(frozen=True)
class _Plan:
    """A batch matched against a gallery at a version: ready to be written."""

    batch: Sequence[Document]
    made: Difference
    writes: Writes
    loaded: Loaded


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

    async def stage(self, command: Command) -> None:
        """Remember a command; the next `commit` obeys it, once."""
        await tasks.ensure_gallery(self._documents, command.gallery, self._clock())
        await stage(self._documents, command, self._clock())

    async def commit(self, gallery: str) -> None:
        """Commit until nothing is pending for `gallery`. Unavailable if a server is away; safe to repeat."""
        async with self._galleries.lock(gallery):
            while pending := await self._documents.find(
                PENDING, {"gallery": gallery}, sort=[("_id", 1)], limit=self._batch
            ):
                await self._commit_some(gallery, pending)

    async def _commit_some(self, gallery: str, pending: Sequence[Document]) -> None:
        # A command is a commit of its own.
        people = [one for one in pending if one["kind"] == PEOPLE] if pending[0]["kind"] == PEOPLE else pending[:1]
        batch = await self._admissible(gallery, people)
        attempts = 0
        while batch:
            attempts += 1
            started = time.monotonic()
            try:
                plan = await self._match(gallery, batch)
                said = await self._documents.transaction(lambda tx: self._write(tx, gallery, plan))  # noqa: B023
            except (_Stale, AlreadyExists) as stale:
                if attempts > _PATIENCE:
                    raise Unavailable(f"gallery {gallery} keeps changing: {stale!r}"[:300]) from stale
                COMMITS.labels("stale").inc()
                self._galleries.forget(gallery)
                batch = await self._admissible(gallery, batch)
                continue
            except _Ended as ended:
                COMMITS.labels("ended").inc()
                await self._drop(ended.pending)
                batch = [one for one in batch if one["_id"] != ended.pending["_id"]]
                continue
            except Unavailable:
                self._galleries.forget(gallery)  # whether it was written is unknown
                raise
            except Exception:
                COMMITS.labels("failed").inc()
                self._galleries.forget(gallery)
                await self._isolate(gallery, batch)
                return
            await asyncio.to_thread(plan.loaded.gallery.apply, plan.made)
            plan.loaded.version += 1
            COMMITS.labels("done").inc()
            COMMIT_SECONDS.observe(time.monotonic() - started)
            COMMITTED_VIDEOS.inc(len(batch))
            log.info(
                "committed",
                extra={"gallery": gallery, "gallery_version": plan.loaded.version, "videos": [b["_id"] for b in batch]},
            )
            await outbox.publish(self._documents, self._publisher, said, self._clock())
            await self._clean_up(batch)
            return

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
            await self._documents.delete(PENDING, {"_id": one["_id"]})
            return
        await tasks.finish(
            self._documents,
            one["video_id"],
            one["epoch"],
            tasks.FAILED,
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
        await tasks.finish(
            self._documents, one["video_id"], one["epoch"], tasks.CANCELLED, self._clock(), "superseded", message
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
                if isinstance(command, events.DeleteVideo):
                    await forget_video(self._documents, self._objects, command.video_id)
                continue
            for epoch in range(max(1, one["epoch"] - 3), one["epoch"]):
                await self._objects.delete_prefix(crops_prefix(one["video_id"], epoch))

    async def _match(self, gallery: str, batch: Sequence[Document]) -> _Plan:
        loaded = await self._galleries.current(gallery)
        known = loaded.gallery
        inserted = {person["_id"]: person for one in batch for person in one["persons"]}
        command = command_of(batch[0])
        change = change_for(command, known) if command is not None else await self._replacement(batch, known, inserted)
        version = loaded.version + 1
        made = await asyncio.to_thread(
            known.propose, change, lambda smallest: derived("profile", gallery, version, smallest), version
        )
        persons = {**inserted, **{one["_id"]: one for one in await self._persons(needed_persons(made))}}

        def videos_of(keys: Any) -> int:
            return len({persons[k]["video_id"] if k in inserted else known.members[k].video for k in keys})

        planned = writes(made, gallery, version, self._clock(), persons, known.profiles, videos_of)
        return _Plan(batch, made, planned, loaded)

    async def _replacement(self, batch: Sequence[Document], known: Gallery, inserted: Mapping[str, Document]) -> Change:
        """The persons of these videos instead of those that earlier runs had found in them."""
        removed = frozenset(key for one in batch for key in known.persons_of(one["video_id"]))
        places = {one["_id"]: places_of(one) for one in await self._persons(removed)}
        if places:
            places |= {key: places_of(person) for key, person in inserted.items()}
        return change_of(
            known,
            [Arrival(one["video_id"], tuple(member_of(person) for person in one["persons"]), places) for one in batch],
        )

    async def _persons(self, keys: frozenset[str]) -> list[Document]:
        if not keys:
            return []
        found = await self._documents.find(PERSONS, {"_id": {"$in": sorted(keys)}})
        if len(found) < len(keys):
            raise _Stale
        return found

    async def _write(self, tx: Documents, gallery: str, plan: _Plan) -> list[Document]:
        """The transaction. Raises _Stale, _Ended or AlreadyExists, all of which undo it."""
        now = self._clock()
        for one in plan.batch:
            await tx.insert(LEDGER, {"_id": ledger_entry(one), "at": now})
        swapped = await tx.update(GALLERIES, {"_id": gallery, "version": plan.loaded.version}, {"$inc": {"version": 1}})
        if swapped is None:
            raise _Stale
        for one in plan.batch:
            if (command := command_of(one)) is not None:
                await transaction.obey(tx, command, now)
                continue
            if not await tasks.finish_in(tx, one["video_id"], one["epoch"], tasks.DONE, now):
                raise _Ended(one)
            await tx.update(VIDEOS, {"_id": one["video_id"]}, {"$max": {"committed_epoch": one["epoch"]}})
        await transaction.apply(tx, plan.writes)
        await tx.delete(PENDING, {"_id": {"$in": [one["_id"] for one in plan.batch]}})
        entries = [outbox.entry(event, now, order) for order, event in enumerate(plan.writes.events)]
        await tx.insert_many(OUTBOX, entries)
        return entries
