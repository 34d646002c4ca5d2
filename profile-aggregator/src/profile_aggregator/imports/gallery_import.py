"""One import, step by step. Each may be done twice."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec.structs import replace

from castlist.archive.archive_format import CONTENTS, DECISIONS, PEOPLE, VIDEOS, Line
from castlist.archive.archive_reader import ArchiveReader
from castlist.contract.commands import ImportGallery
from castlist.contract.ids import CROPS, derived, upload_key
from castlist.contract.values import StoredObject
from castlist.ports.errors import TooLargeError
from castlist.ports.objects import Objects
from castlist.store.pending import ledger_id
from castlist.store.query import add, eq, set_to, with_id, with_ids
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.pending import LedgerRecord, PendingCommand
from castlist.store.records.record import Record
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store, Table
from castlist.tasks.commands import apply_in
from castlist.tasks.galleries import SHOWN
from castlist.tasks.video_objects import by_ingest
from profile_aggregator.commits.commit_plan import StaleGalleryError
from profile_aggregator.commits.commit_transaction import apply_documents
from profile_aggregator.commits.gallery_log import log_records
from profile_aggregator.imports.archive_contents import ArchiveContents
from profile_aggregator.imports.imported_videos import (
    ImportedSoFar,
    ImportedVideo,
    halves,
    import_documents,
    is_enough,
)
from profile_aggregator.imports.new_ids import NewIds
from profile_aggregator.videos.found_people import insert_missing

R = TypeVar("R", bound=Record)
_CROP, _VIDEO = "image/jpeg", "application/octet-stream"
_LARGEST_CROP = 16 * 1024 * 1024
_LINES_AT_ONCE = 100


class GalleryImport:
    """Of an archive that was looked at. `pending` asks for it; `ids` are those of what it brings."""

    def __init__(
        self,
        store: Store,
        objects: Objects,
        clock: Callable[[], datetime],
        pending: PendingCommand,
        command: ImportGallery,
        contents: ArchiveContents,
        ids: NewIds,
    ) -> None:
        self._store, self._objects, self._clock = store, objects, clock
        self._pending, self._command, self._contents, self._ids = pending, command, contents, ids
        self._gallery = command.gallery
        self._placed: dict[str, StoredObject] = {}
        self._profiles = {ids.id(old): one for old, one in contents.profiles.items()}

    async def begin(self, before: GalleryRecord) -> None:
        """From here on nothing else is committed to the gallery. StaleGalleryError if it is not as it was.

        What was decided is of versions up to the archive's; all that follows is later.
        """
        about = self._contents.about
        change = (
            set_to(GalleryRecord.importing, self._pending.id)
            & set_to(GalleryRecord.version, max(before.version, about.gallery_version) + 1)
            & set_to(GalleryRecord.distance, about.distance)
            & set_to(GalleryRecord.stages, about.stages)
            & set_to(GalleryRecord.sampled, about.sampled)
            & set_to(GalleryRecord.faces_skipped, about.faces_skipped)
            & set_to(GalleryRecord.committed_at, self._clock())
        )
        if before.version == 0:
            change &= set_to(GalleryRecord.told, 0)  # nothing was said before: whoever listens has missed nothing
        if about.settings is not None:
            change &= set_to(GalleryRecord.settings, about.settings)
        unmoved = with_id(before.id) & eq(GalleryRecord.version, before.version) & eq(GalleryRecord.importing, None)
        if await self._store.galleries.update(unmoved & SHOWN, change) is None:
            raise StaleGalleryError

    async def carry_out(self, blocks: AsyncIterator[bytes]) -> None:
        """All that is in it, one commit after the other. StaleGalleryError if another process has come to the end."""
        reader = ArchiveReader(blocks)
        await reader.about()
        async for entry in reader.entries():
            if entry.name.startswith(CROPS):
                picture = b"".join([piece async for piece in reader.content()])
                await self._objects.put(self._ids.crop(entry.name), picture, _CROP)
            elif entry.name.startswith(CONTENTS):
                await self._place(entry.name.removeprefix(CONTENTS), reader.content())
            elif entry.name in (PEOPLE, DECISIONS):
                await self._remember(reader.lines())
            elif entry.name == VIDEOS:
                async for some in self._videos(reader.lines()):
                    await self._commit(some)

    async def _place(self, video: str, content: AsyncIterator[bytes]) -> None:
        key = upload_key(derived("import", self._pending.id, video))
        async with self._objects.upload(key, _VIDEO) as upload:
            async for piece in content:
                await upload.write(piece)
            info = await upload.complete()
        self._placed[video] = StoredObject(self._objects.bucket, key, info.etag)

    async def _remember(self, lines: AsyncIterator[Line]) -> None:
        """Nobody reads it before the gallery is."""
        store, ids, known = self._store, self._ids, self._contents.known
        redirects, changes, decisions, objections, places = [], [], [], [], []
        async for line in lines:
            if line.redirect is not None:
                redirects.append(ids.redirect(line.redirect))
            if line.change is not None:
                changes.append(ids.change(line.change, known))
            if line.decision is not None:
                decisions.append(ids.decision(line.decision))
            if line.objection is not None:
                objections.append(ids.objection(line.objection))
            if line.places is not None:
                places.append(ids.places(line.places))
            await _store_some(store.redirects, redirects, _LINES_AT_ONCE)
            await _store_some(store.changes, changes, _LINES_AT_ONCE)
            await _store_some(store.decisions, decisions, _LINES_AT_ONCE)
            await _store_some(store.objections, objections, _LINES_AT_ONCE)
            await _store_some(store.places, places, _LINES_AT_ONCE)
        await _store_some(store.redirects, redirects)
        await _store_some(store.changes, changes)
        await _store_some(store.decisions, decisions)
        await _store_some(store.objections, objections)
        await _store_some(store.places, places)

    async def _videos(self, lines: AsyncIterator[Line]) -> AsyncIterator[list[ImportedVideo]]:
        """As many together as one commit takes."""
        ids, some = self._ids, list[ImportedVideo]()
        async for line in lines:
            if line.video is not None:
                if is_enough(some):
                    yield some
                    some = []
                video = await self._video(line.video)
                some.append(ImportedVideo(video.id, video))
            elif line.task is not None:
                some[-1].tasks.append(ids.task(line.task))
            elif line.person is not None:
                person = ids.found(line.person)
                if not some or person.video_id != some[-1].id:
                    if is_enough(some):
                        yield some
                        some = []
                    some.append(ImportedVideo(person.video_id))
                some[-1].persons.append(person)
            elif line.appearance is not None:
                some[-1].since[ids.id(line.appearance.profile_id)] = line.appearance.created_at
            elif line.places is not None:
                some[-1].places.append(ids.places(line.places))
            elif line.left_out is not None:
                some[-1].left_out.append(ids.left_out(line.left_out))
            elif line.tracks is not None:
                some[-1].tracks.append(ids.tracks(line.tracks))
        if some:
            yield some

    async def _video(self, told: VideoRecord) -> VideoRecord:
        """The object is ours if it was in the archive, or is that of a video of ours: whatever an archive names, nobody
        is shown or deletes what is not his."""
        if (placed := self._placed.get(told.id)) is not None:
            return replace(self._ids.video(told), object=placed, uploaded=True)
        source = await self._store.videos.get(told.id) if self._ids.anew else None
        ours = source is not None and source.object == told.object and by_ingest(source)
        return replace(self._ids.video(told), uploaded=ours)

    async def _commit(self, videos: Sequence[ImportedVideo]) -> None:
        """These, unless they are there."""
        keys = {one.id: f"{ledger_id(self._pending)}:{one.id}" for one in videos}
        there = set(await self._store.ledger.ids(with_ids(keys.values())))
        missing = [one for one in videos if keys[one.id] not in there]
        if not missing:
            return
        gallery = await self._store.galleries.get(self._gallery)
        if gallery is None or gallery.importing != self._pending.id:
            raise StaleGalleryError
        for one in missing:
            await insert_missing(self._store.places, one.places)
            await insert_missing(self._store.left_out, one.left_out)
            for part in one.tracks:  # each up to a megabyte
                await insert_missing(self._store.tracks, [part])
        profiles = sorted({one.profile_id for video in missing for one in video.persons if one.profile_id is not None})
        standing = await self._store.profiles.find_parts(ImportedSoFar, with_ids(profiles))
        now = self._clock()
        documents = import_documents(
            missing,
            {id: self._ids.profile(self._profiles[id]) for id in profiles},
            {one.id: one for one in standing},
            self._gallery,
            gallery.version + 1,
            gallery.told,
            now,
        )

        async def body(transaction: Store) -> None:
            await transaction.ledger.insert_many(LedgerRecord(id=keys[one.id], at=now) for one in missing)
            change = add(GalleryRecord.version, 1) & set_to(GalleryRecord.committed_at, now)
            if documents.events:
                change &= set_to(GalleryRecord.told, gallery.version + 1)
            await self._move_on(transaction, gallery.version, change)
            await transaction.videos.insert_many(one.video for one in missing if one.video is not None)
            await transaction.tasks.insert_many(task for one in missing for task in one.tasks)
            await apply_documents(transaction, documents)
            said = log_records(self._gallery, gallery.version + 1, documents.events, now)
            await transaction.gallery_log.insert_many(said)

        try:
            await self._store.transaction(body)
        except TooLargeError:
            if len(missing) == 1:
                raise
            for half in halves(missing):
                await self._commit(half)

    async def end(self) -> None:
        """All is there. StaleGalleryError, or AlreadyExistsError, if another process has said so."""
        gallery = await self._store.galleries.get(self._gallery)
        if gallery is None:
            raise StaleGalleryError
        now, version = self._clock(), gallery.version + 1

        async def body(transaction: Store) -> None:
            await transaction.ledger.insert(LedgerRecord(id=ledger_id(self._pending), at=now))
            change = (
                add(GalleryRecord.version, 1)
                & set_to(GalleryRecord.committed_at, now)
                & set_to(GalleryRecord.suggestions_due, True)
                & set_to(GalleryRecord.importing, None)
            )
            await self._move_on(transaction, gallery.version, change)
            await apply_in(transaction, self._command.event_id, now, version, (), self._receipt())
            await transaction.pending.delete(with_id(self._pending.id))

        await self._store.transaction(body)

    async def _move_on(self, transaction: Store, version: int, change: Any) -> None:
        unmoved = with_id(self._gallery) & eq(GalleryRecord.version, version)
        if await transaction.galleries.update(unmoved & eq(GalleryRecord.importing, self._pending.id), change) is None:
            raise StaleGalleryError

    def _receipt(self) -> dict[str, Any]:
        """What was imported, and which ids it has now where it has others."""
        told, ids = self._contents, self._ids
        receipt: dict[str, Any] = {
            "gallery": told.about.gallery,
            "profiles": len(told.profiles),
            "videos": len(told.videos),
            "enrolments": len(told.enrolments),
            "changes": len(told.changes),
            "crops": len(told.crops),
            "files": len(told.contents),
        }
        if ids.anew:
            receipt["ids"] = {
                "profiles": {old: ids.id(old) for old in (*told.profiles, *sorted(told.redirects))},
                "videos": {old: ids.id(old) for old in told.videos},
                "changes": {old: ids.id(old) for old in sorted(told.changes)},
            }
        return receipt


async def _store_some(table: Table[R], records: list[R], at_least: int = 1) -> None:
    """Once there are so many; the list is empty then."""
    if len(records) >= at_least:
        await insert_missing(table, records)
        records.clear()
