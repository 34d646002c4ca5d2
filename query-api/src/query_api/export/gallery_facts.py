"""All that is known of a gallery, as lines of an archive: of one version of it, however much else goes on."""

import asyncio
import hashlib
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from castlist.archive.archive_format import (
    CONTENTS,
    DECISIONS,
    ENCODER,
    FORMAT,
    PEOPLE,
    VERSION,
    VIDEOS,
    About,
    AppearanceSince,
    Line,
)
from castlist.contract.ids import ENROLLED, crops_prefix, is_enrolment, run_key
from castlist.ports.errors import ObjectMissingError, UnavailableError
from castlist.ports.objects import Objects
from castlist.store.installation import installation
from castlist.store.query import begins_with, eq, ne, one_of, with_ids, within
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.change_history import ChangeRecord, DecisionRecord, ObjectionRecord
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.persons import PersonRecord, TracksRecord
from castlist.store.records.profiles import ProfileRecord, RedirectRecord
from castlist.store.records.record import Record
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store, Table
from castlist.tasks import lifecycle
from castlist.tasks.commands import DELETE_GALLERY
from castlist.tasks.video_objects import AllowedObjects, by_ingest

R = TypeVar("R", bound=Record)
T = TypeVar("T")
V = TypeVar("V", TaskRecord, PersonRecord, AppearanceSince)
_PAGE = 100
_TRIES = 5
"""How often it is begun again because the gallery has moved on."""
_NOT_DONE = TaskError("cancelled", "It was under way when its gallery was exported.")


class Spooled:
    """One entry of an archive, kept in a file while inside."""

    def __init__(self, name: str) -> None:
        self.name, self.size = name, 0
        self._digest = hashlib.sha256()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    async def add(self, lines: Iterable[Line]) -> None:
        """More lines."""
        await asyncio.to_thread(self._add, lines)

    def _add(self, lines: Iterable[Line]) -> None:
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    async def read(self, start: int, size: int) -> bytes:
        """So many bytes of it."""

        def read() -> bytes:
            self._file.seek(start)
            return self._file.read(size)

        return await asyncio.to_thread(read)

    def close(self) -> None:
        self._file.close()


class ArchivedObject(msgspec.Struct, frozen=True):
    """An object that is to be in the archive, under a name; `sha256` where it is known."""

    name: str
    key: str
    bucket: str | None
    etag: str
    size: int
    sha256: str | None = None


class Facts:
    """What an archive is made of."""

    def __init__(self, about: About) -> None:
        self.about = about
        self.spooled = (Spooled(PEOPLE), Spooled(DECISIONS), Spooled(VIDEOS))
        self.crops: list[ArchivedObject] = []
        self.contents: list[ArchivedObject] = []

    @property
    def tag(self) -> str:
        """The same for the same archive."""
        told = [self.about, self.crops, self.contents, [one.sha256 for one in self.spooled]]
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:32]

    def close(self) -> None:
        for one in self.spooled:
            one.close()


class GalleryFacts:
    """Reads them."""

    def __init__(self, store: Store, objects: Objects, allowed: AllowedObjects) -> None:
        self._store, self._objects, self._allowed = store, objects, allowed

    async def read(self, gallery: GalleryRecord, contents: bool) -> Facts:
        """All of it, at one version of the gallery; the caller closes it. `contents`: with the files of the videos.

        UnavailableError where commits follow each other faster than it can be read.
        """
        current: GalleryRecord | None = gallery
        for _ in range(_TRIES):
            if current is None or current.importing is not None:
                break
            facts = Facts(await self._about(current))
            try:
                await self._people(facts)
                await self._decisions(facts)
                await self._enrolments(facts)
                await self._videos(facts, contents)
                before, current = current, await self._store.galleries.get(gallery.id)
                if current is not None and current.version == before.version:
                    return facts
            except BaseException:
                facts.close()
                raise
            facts.close()
        raise UnavailableError(f"gallery {gallery.id} keeps changing while it is read")

    async def _about(self, gallery: GalleryRecord) -> About:
        return About(
            format=FORMAT,
            version=VERSION,
            encoder=ENCODER,
            installation=await installation(self._store),
            gallery=gallery.id,
            gallery_version=gallery.version,
            settings=gallery.settings,
            distance=gallery.distance,
            stages=gallery.stages,
            sampled=gallery.sampled,
            faces_skipped=gallery.faces_skipped,
            committed_at=gallery.committed_at,
        )

    async def _people(self, facts: Facts) -> None:
        people, gallery = facts.spooled[0], facts.about.gallery
        ids = await self._store.profiles.ids(eq(ProfileRecord.gallery, gallery))
        async for profiles in _pages(self._store.profiles, ids):
            await people.add(Line(profile=one) for one in profiles)
        ids = await self._store.redirects.ids(eq(RedirectRecord.gallery, gallery))
        async for redirects in _pages(self._store.redirects, ids):
            await people.add(Line(redirect=one) for one in redirects)

    async def _decisions(self, facts: Facts) -> None:
        """With where those were who are not there any more: a later run may find them again."""
        store, decided, gallery = self._store, facts.spooled[1], facts.about.gallery
        # That a gallery of this name was deleted once is nothing about this one.
        said = eq(ChangeRecord.gallery, gallery) & eq(ChangeRecord.status, "applied")
        ids = await store.changes.ids(said & ne(ChangeRecord.kind, DELETE_GALLERY))
        async for changes in _pages(store.changes, ids):
            await decided.add(Line(change=one) for one in changes)
        named = set[str]()
        ids = await store.decisions.ids(eq(DecisionRecord.gallery, gallery))
        async for decisions in _pages(store.decisions, ids):
            await decided.add(Line(decision=one) for one in decisions)
            named.update(*(_named(one) for one in decisions))
        ids = await store.objections.ids(eq(ObjectionRecord.gallery, gallery))
        async for objections in _pages(store.objections, ids):
            await decided.add(Line(objection=one) for one in objections)
        for keys in _slices(sorted(named)):
            there = set(await store.persons.ids(with_ids(keys)))
            absent = await store.places.find(with_ids(key for key in keys if key not in there))
            await decided.add(Line(places=one) for one in sorted(absent, key=_id))

    async def _enrolments(self, facts: Facts) -> None:
        """Whoever is known by pictures, in the place of a video's people."""
        pictured = begins_with(PersonRecord.id, ENROLLED) & eq(PersonRecord.gallery, facts.about.gallery)
        async for persons in _pages(self._store.persons, await self._store.persons.ids(pictured)):
            there = [one for one in persons if _is_known(one) and is_enrolment(one.video_id)]
            await facts.spooled[2].add(Line(person=one) for one in there)
            await self._crops(facts, there)

    async def _videos(self, facts: Facts, contents: bool) -> None:
        ids = await self._store.videos.ids(eq(VideoRecord.gallery, facts.about.gallery))
        async for videos in _pages(self._store.videos, ids):
            keys = [video.id for video in videos]
            tasks = _by_video(await self._store.tasks.find(one_of(TaskRecord.video_id, keys)))
            persons = _by_video(
                one for one in await self._store.persons.find(one_of(PersonRecord.video_id, keys)) if _is_known(one)
            )
            in_these = one_of(AppearanceRecord.video_id, keys)
            shown = _by_video(await self._store.appearances.find_parts(AppearanceSince, in_these))
            for video in videos:
                await self._video(facts, video, tasks[video.id], persons[video.id])
                await facts.spooled[2].add(Line(appearance=one) for one in shown[video.id])
                if contents:
                    await self._content(facts, video)

    async def _video(
        self, facts: Facts, video: VideoRecord, tasks: Sequence[TaskRecord], persons: Sequence[PersonRecord]
    ) -> None:
        store, lines = self._store, facts.spooled[2]
        # Whether ingest wrote the object is known by the id in older records, which may be another one elsewhere.
        video = replace(video, uploaded=by_ingest(video))
        await lines.add([Line(video=video), *(Line(task=_ended(one)) for one in tasks)])
        for some in _slices(persons):
            places = await store.places.find(with_ids(one.id for one in some))
            await lines.add(
                [*(Line(person=one) for one in some), *(Line(places=one) for one in sorted(places, key=_id))]
            )
        if video.committed_epoch is not None:
            run = run_key(video.id, video.committed_epoch)
            left_out = await store.left_out.get(run)
            await lines.add([Line(left_out=left_out)] if left_out else [])
            for id in sorted(await store.tracks.ids(within(TracksRecord.id, f"{run}:", f"{run};"))):
                if (tracks := await store.tracks.get(id)) is not None:
                    await lines.add([Line(tracks=tracks)])
        await self._crops(facts, persons)

    async def _crops(self, facts: Facts, persons: Sequence[PersonRecord]) -> None:
        wanted = {one.crop.key for one in persons if one.crop is not None}
        for prefix in sorted({crops_prefix(one.video_id, one.epoch) for one in persons if one.crop is not None}):
            for info in await self._objects.list(prefix):
                if info.key in wanted:
                    facts.crops.append(ArchivedObject(info.key, info.key, None, info.etag, info.bytes))

    async def _content(self, facts: Facts, video: VideoRecord) -> None:
        stored = video.object
        if not self._allowed.readable(video):
            return
        try:
            info = await self._objects.head(stored.key, bucket=stored.bucket)
        except ObjectMissingError:
            return
        name = f"{CONTENTS}{video.id}"
        facts.contents.append(ArchivedObject(name, stored.key, stored.bucket, info.etag, info.bytes, video.sha256))


async def _pages(table: Table[R], ids: Sequence[str]) -> AsyncIterator[list[R]]:
    """The records with these ids, in the order of these."""
    for some in _slices(sorted(ids)):
        yield sorted(await table.find(with_ids(some)), key=_id)


def _slices(things: Sequence[T]) -> Iterator[Sequence[T]]:
    return (things[start : start + _PAGE] for start in range(0, len(things), _PAGE))


def _id(record: Record) -> str:
    return record.id


def _by_video(records: Iterable[V]) -> dict[str, list[V]]:
    found = defaultdict[str, list[V]](list)
    for one in sorted(records, key=_id):
        found[one.video_id].append(one)
    return found


def _is_known(person: PersonRecord) -> bool:
    """Not of a run that is still to be committed."""
    return person.profile_id is not None or person.unmatched


def _ended(task: TaskRecord) -> TaskRecord:
    """The task as it is taken along: nobody works on it there."""
    plain = replace(task, clear_after=None, announced=0, announce_after=None)
    return plain if task.status in lifecycle.FINAL else replace(plain, status=lifecycle.CANCELLED, error=_NOT_DONE)


def _named(decision: DecisionRecord) -> set[str]:
    """Everybody whom it names."""
    origins = (origin.persons for origin in decision.origins)
    parts = (decision.leaving, decision.rest, decision.unmatched, decision.manual, decision.about)
    return {key for keys in (*decision.groups, *parts, *origins) for key in keys}
