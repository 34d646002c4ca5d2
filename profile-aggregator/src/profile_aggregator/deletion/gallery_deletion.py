"""A gallery that is deleted: one transaction closes it, and what is in it goes piece by piece, until it is through.

From the first on nothing is committed to it, and nothing put in. Its record stays, with a higher version than anything
in memory: that is what a gallery of the same name begins with.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from castlist.contract.events import GalleryDeleted
from castlist.contract.ids import BY_HAND, crops_prefix, event_id, is_enrolment, video_of_person
from castlist.ports.objects import Objects
from castlist.store import outbox
from castlist.store.pending import event_of, ledger_id, recluster_id
from castlist.store.query import Where, add, at_least, eq, ne, set_to, with_id, with_ids
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.change_history import ChangeRecord, DecisionRecord, ObjectionRecord
from castlist.store.records.erasures import ErasureRecord, RemovalRecord
from castlist.store.records.galleries import GalleryRecord, SuggestionRecord
from castlist.store.records.outbox import GalleryLogRecord
from castlist.store.records.pending import LedgerRecord, PendingRecord, PreviewRecord
from castlist.store.records.persons import PersonRecord
from castlist.store.records.profiles import ProfileRecord, RedirectRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store, Table
from castlist.tasks.commands import DELETE_GALLERY, apply_in
from castlist_identity.matching.auto_distance import stages_for
from profile_aggregator.commits.gallery_log import log_records
from profile_aggregator.corrections.refusal import CommandRefusedError
from profile_aggregator.deletion.listeners import forget_gallery
from profile_aggregator.deletion.video_deletion import delete_video_in

_AT_ONCE = 1_000
_VIDEOS_AT_ONCE = 100


async def close_in(transaction: Store, one: PendingRecord, now: datetime) -> None:
    """Close the gallery for the command that is pending: it is said to be gone, and all else is written down to follow.

    CommandRefusedError where it is gone already, AlreadyExistsError where this was done.
    """
    await transaction.ledger.insert(LedgerRecord(id=ledger_id(one), at=now))
    gallery, change = one.gallery, event_of(one)
    before = await transaction.galleries.get(gallery)
    if before is None or before.deletion is not None or before.deleted_at is not None:
        raise CommandRefusedError("not_found", f"There is no gallery {gallery}.")
    version = before.version + 1
    closed = (
        set_to(GalleryRecord.version, version)
        & set_to(GalleryRecord.committed_at, now)
        & set_to(GalleryRecord.told, version)
        & set_to(GalleryRecord.suggestions_due, False)
        & set_to(GalleryRecord.deletion, change)
    )
    await transaction.galleries.update(with_id(gallery), closed)
    said = GalleryDeleted(
        event_id=event_id("gallery", gallery, version, 0),
        occurred_at=now,
        gallery=gallery,
        gallery_version=version,
        index=0,
        count=1,
        previous_version=before.told if before.version else 0,
    )
    await transaction.gallery_log.insert_many(log_records(gallery, version, [said], now))
    await apply_in(transaction, change, now, version)
    await transaction.pending.delete(with_ids([one.id, recluster_id(gallery)]))
    await transaction.erasures.replace(
        ErasureRecord(
            id=f"{gallery}:{version}", gallery=gallery, version=version, what="gallery", change=change, at=now
        )
    )


class GalleryDeletion:
    """What follows. Every step may be repeated, and left off at any time."""

    def __init__(self, store: Store, objects: Objects, clock: Callable[[], datetime]) -> None:
        self._store, self._objects, self._clock = store, objects, clock

    async def carry_out(self, erasure: ErasureRecord) -> bool:
        """Take away what there is now; False where something is still to come or to be said."""
        store, gallery = self._store, erasure.gallery
        while videos := await store.videos.find(eq(VideoRecord.gallery, gallery), limit=_VIDEOS_AT_ONCE):
            for video in videos:
                await self._delete_video(video, erasure.id)
        if await store.removals.count(at_least(RemovalRecord.id, "") & eq(RemovalRecord.erasure, erasure.id)):
            return False
        await self._delete_people(gallery, erasure.id)
        for table, there in self._of(gallery):
            await _delete_all(table, there)
        await forget_gallery(store, gallery)
        said = eq(GalleryLogRecord.gallery, gallery)
        if await store.gallery_log.count(said & eq(GalleryLogRecord.published_at, None)):
            return False
        await _delete_all(store.gallery_log, said)
        await self._delete_changes(gallery, erasure.id)
        return not await store.pending.count(eq(PendingRecord.gallery, gallery))

    async def _delete_video(self, video: VideoRecord, erasure: str) -> None:
        now = self._clock()

        async def body(transaction: Store) -> None:
            there = await transaction.videos.get(video.id)
            if there is None:  # another process was faster
                return
            for finished in await delete_video_in(transaction, there, now, erasure):
                await outbox.add(transaction, finished, now)
            await transaction.erasures.update(with_id(erasure), add(ErasureRecord.videos, 1))

        await self._store.transaction(body)

    async def _delete_people(self, gallery: str, erasure: str) -> None:
        of_gallery = eq(PersonRecord.gallery, gallery)
        while some := await self._store.persons.ids(of_gallery, limit=_AT_ONCE):
            enrolled = {video for video in map(video_of_person, some) if is_enrolment(video)}
            crops = sum([await self._objects.delete_prefix(crops_prefix(one, BY_HAND)) for one in sorted(enrolled)])
            await self._store.places.delete(with_ids(some))
            gone = await self._store.persons.delete(with_ids(some))
            counted = add(ErasureRecord.people, gone) & add(ErasureRecord.crops, crops)
            await self._store.erasures.update(with_id(erasure), counted)

    async def _delete_changes(self, gallery: str, erasure: str) -> None:
        """And the commands that they were, with what these say. That galleries of this name were deleted stays."""
        others = eq(ChangeRecord.gallery, gallery) & ne(ChangeRecord.kind, DELETE_GALLERY)
        while some := await self._store.changes.ids(others, limit=_AT_ONCE):
            await self._store.outbox.delete(with_ids(some))
            gone = await self._store.changes.delete(with_ids(some))
            await self._store.erasures.update(with_id(erasure), add(ErasureRecord.changed, gone))

    def _of(self, gallery: str) -> Sequence[tuple[Table[Any], Where]]:
        store = self._store
        return (
            (store.appearances, eq(AppearanceRecord.gallery, gallery)),
            (store.profiles, eq(ProfileRecord.gallery, gallery)),
            (store.redirects, eq(RedirectRecord.gallery, gallery)),
            (store.suggestions, eq(SuggestionRecord.gallery, gallery)),
            (store.decisions, eq(DecisionRecord.gallery, gallery)),
            (store.objections, eq(ObjectionRecord.gallery, gallery)),
            (store.previews, at_least(PreviewRecord.id, "") & eq(PreviewRecord.gallery, gallery)),
        )


async def _delete_all(table: Table[Any], there: Where) -> None:
    """A portion at a time: no call takes long, however many there are."""
    while some := await table.ids(there, limit=_AT_ONCE):
        await table.delete(with_ids(some))


async def end_in(transaction: Store, erasure: ErasureRecord, now: datetime) -> bool:
    """Nothing is left of the gallery but that it was there; False where something has come to it meanwhile."""
    for count, there in (
        (transaction.videos.count, eq(VideoRecord.gallery, erasure.gallery)),
        (transaction.persons.count, eq(PersonRecord.gallery, erasure.gallery)),
    ):
        if await count(there):
            return False
    ended = (
        add(GalleryRecord.version, 1)  # what another process has read of it meanwhile is outdated
        & set_to(GalleryRecord.deletion, None)
        & set_to(GalleryRecord.deleted_at, now)
        & set_to(GalleryRecord.settings, None)
        & set_to(GalleryRecord.distance, None)
        & set_to(GalleryRecord.stages, stages_for("auto"))
        & set_to(GalleryRecord.sampled, True)
        & set_to(GalleryRecord.faces_skipped, {})
        & set_to(GalleryRecord.asked_by, None)
    )
    of_this = with_id(erasure.gallery) & eq(GalleryRecord.deletion, erasure.change)
    await transaction.galleries.update(of_this, ended)
    return True
