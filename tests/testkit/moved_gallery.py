"""A gallery as an archive, out of servers in memory and into others."""

import hashlib
from typing import Any

from castlist.contract.commands import ImportGallery
from castlist.contract.ids import ARCHIVES, derived
from castlist.contract.values import StoredObject
from castlist.store.query import eq
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.change_history import ChangeRecord, DecisionRecord, ObjectionRecord
from castlist.store.records.persons import PersonRecord
from castlist.store.records.profiles import ProfileRecord
from castlist.tasks.video_objects import AllowedObjects
from query_api.export.archive_stream import ArchiveStream
from query_api.export.gallery_facts import GalleryFacts
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.in_memory import InMemory

OF_GALLERIES = ("import", "delete_gallery")
"""Kinds of changes that are about a gallery as a whole."""


async def exported(servers: InMemory, gallery: str = G, *, contents: bool = False) -> bytes:
    """The archive."""
    stored = await servers.stored.galleries.get(gallery)
    assert stored is not None
    allowed = AllowedObjects.told(servers.bucket.bucket, "")
    facts = await GalleryFacts(servers.stored, servers.bucket, allowed).read(stored, contents)
    stream = ArchiveStream(facts, servers.bucket)
    archive = b"".join([block async for block in stream.part(0, stream.size)])
    facts.close()
    assert len(archive) == stream.size
    return archive


async def imported(into: CorrectedGallery, archive: bytes, gallery: str = G) -> ChangeRecord:
    """What became of its import."""
    servers, sha256 = into.servers, hashlib.sha256(archive).hexdigest()
    id = derived("import", gallery, sha256)
    if (known := await servers.stored.changes.get(id)) is not None and known.status != "failed":
        return known
    key = f"{ARCHIVES}{int(servers.now.timestamp())}-{sha256[:8]}.tar"
    etag = servers.bucket.store(key, archive, "application/x-tar").etag
    command = ImportGallery(
        event_id=id, occurred_at=servers.now, gallery=gallery,
        object=StoredObject(servers.bucket.bucket, key, etag), sha256=sha256,
    )  # fmt: skip
    await into.repeat(lambda: into.committer.stage(command))
    await into.commit(gallery)
    change = await servers.stored.changes.get(command.event_id)
    assert change is not None
    return change


async def known(servers: InMemory, gallery: str = G) -> dict[str, Any]:
    """All that somebody sees of a gallery, and what it rests on, without what tells when it came."""
    stored = servers.stored
    profiles = await stored.profiles.find(eq(ProfileRecord.gallery, gallery))
    appearances = await stored.appearances.find(eq(AppearanceRecord.gallery, gallery))
    persons = await stored.persons.find(eq(PersonRecord.gallery, gallery))
    changes = await stored.changes.find(eq(ChangeRecord.gallery, gallery))
    decisions = await stored.decisions.find(eq(DecisionRecord.gallery, gallery))
    objections = await stored.objections.find(eq(ObjectionRecord.gallery, gallery))
    return {
        "profiles": {one.id: _without(one, "updated_at") for one in profiles},
        "appearances": {one.id: _without(one) for one in appearances},
        "persons": {one.id: _without(one) for one in persons},
        "changes": {
            one.id: _without(one) for one in changes if one.status == "applied" and one.kind not in OF_GALLERIES
        },
        "decisions": {one.id: _without(one) for one in decisions},
        "objections": {one.id: _without(one) for one in objections},
    }


def _is_of_people(change: ChangeRecord) -> bool:
    return change.status == "applied" and change.kind not in OF_GALLERIES


def _without(record: Any, *fields: str) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__ if name not in fields}
