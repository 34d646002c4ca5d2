"""Databases of before are brought up to date, however often and by whoever starts first."""

import asyncio
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from castlist.contract.box import Box
from castlist.contract.commands import RenameProfile
from castlist.contract.events import ProfileCreated, TaskFinished
from castlist.contract.ids import task_id
from castlist.contract.values import StoredObject
from castlist.ports.documents import Documents
from castlist.store import outbox
from castlist.store.migrations import STEPS, migrate
from castlist.store.query import ascending, eq, plain
from castlist.store.records.change_history import ChangeRecord
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.installation import InstanceRecord, TopicsRecord
from castlist.store.records.outbox import GalleryLogRecord
from castlist.store.records.pending import LedgerRecord, PendingCommand, PendingRecord, PendingVideo
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.tasks import ResolvedCancelRecord
from castlist.store.store import Store
from castlist_identity.domain import SightedAt
from profile_aggregator.deletion.removals import removal
from profile_aggregator.videos.conversions import places_of
from testkit.examples import example
from testkit.stored import PERSON

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PLACES = ((8, 0), (7, 1), (7, 0))
RENAME = {"event": "RenameProfile", "event_id": "r", "gallery": "g", "profile_id": "p", "name": "Ada"}


async def test_a_new_database_has_the_default_gallery(documents: Documents) -> None:
    """And nothing is done twice."""
    assert await migrate(documents, NOW) == [number for number, _ in STEPS]
    assert await migrate(documents, NOW) == []
    assert await Store(documents).galleries.ids() == ["default"]


async def test_names_of_before_0_1_0_are_the_names_of_today(documents: Documents) -> None:
    """Nothing is lost of what was kept under them: cancels, members, losses of Kafka, commands that wait."""
    await documents.insert("controls", {"_id": "c", "epoch": 3, "at": NOW})
    await documents.insert("owners", {"_id": "aggregator-1", "nonce": "n"})
    await documents.insert("owners", {"_id": "kafka", "topics_created": 12, "creations": 2})
    waiting = {"_id": "command:r", "kind": "RenameProfile", "gallery": "g", "command": RENAME, "created_at": NOW}
    await documents.insert("pending", {**waiting, "persons": []})
    people = {"_id": "v:1", "kind": "people", "gallery": "g", "video_id": "v", "epoch": 1, "persons": []}
    await documents.insert("pending", {**people, "created_at": NOW})
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    store = Store(documents)
    assert await store.resolved_cancels.find() == [ResolvedCancelRecord(id="c", epoch=3, at=NOW)]
    assert await store.instances.find() == [InstanceRecord(id="aggregator-1", nonce="n")]
    assert await store.topics.find() == [TopicsRecord(id="kafka", created=2, made_good=1)]
    command = PendingCommand(id="command:r", gallery="g", created_at=NOW, name="RenameProfile", command=RENAME)
    video = PendingVideo(id="v:1", gallery="g", created_at=NOW, video_id="v", epoch=1, people=0)
    assert await store.pending.find(sort=[ascending(PendingRecord.id)]) == [command, video]
    assert await documents.find("controls", {}) == await documents.find("owners", {}) == []


async def test_commands_of_before_get_an_outcome(documents: Documents) -> None:
    """Those that wait in `pending`, and those that lie in the outbox alone; not those that were carried out."""
    store = Store(documents)
    orders = [
        RenameProfile(event_id=id, occurred_at=NOW, gallery="g", profile_id="p", name=id) for id in ("a", "b", "c")
    ]
    await store.pending.insert(
        PendingCommand(
            id="command:a", gallery="g", created_at=NOW, name="RenameProfile", command=orders[0].model_dump(mode="json")
        )
    )
    await store.outbox.insert_many(outbox.entry(order, NOW) for order in orders)
    await store.ledger.insert(LedgerRecord(id="g:command:c", at=NOW))
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    found = await store.changes.find(sort=[ascending(ChangeRecord.id)])
    assert [(one.id, one.gallery, one.kind, one.status, one.at) for one in found] == [
        (id, "g", "rename", "pending", NOW) for id in ("a", "b")
    ]
    assert sorted(await store.pending.ids()) == ["command:a", "command:b"]


async def test_what_ended_tasks_were_worked_out_from_is_cleared(documents: Documents) -> None:
    """Those of before are due; those that ended since, or are open, have their own time or none."""
    for task, status in (("a", "done"), ("b", "processing"), ("c", "cancelled")):
        await documents.insert("tasks", {"_id": task, "video_id": task, "epoch": 1, "status": status})
    await documents.insert("tasks", {"_id": "d", "video_id": "d", "epoch": 1, "status": "done", "clear_after": None})
    await migrate(documents, NOW)
    due = {one["_id"]: one.get("clear_after") for one in await documents.find("tasks", {})}
    assert due == {"a": NOW, "b": None, "c": NOW, "d": None}


async def test_found_people_become_a_document_each(documents: Documents) -> None:
    """Those that wait for their commit, and where those in a profile were seen; nobody is lost, and nobody twice."""
    found = plain(PERSON) | {"_id": "v:1:0", "places": [[0.5, 1, 2, 3, 4], [1.0, 5, 6, 7, 8]]}
    waiting = {"_id": "v:1", "kind": "people", "gallery": "g", "video_id": "v", "epoch": 1, "created_at": NOW}
    await documents.insert("pending", waiting | {"persons": [found]})
    await documents.insert("persons", found | {"_id": "w:1:0", "video_id": "w", "profile_id": "p", "places": []})
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    store = Store(documents)
    pending = PendingVideo(id="v:1", gallery="g", created_at=NOW, video_id="v", epoch=1, people=1)
    assert await store.pending.find() == [pending]
    assert await store.persons.get("v:1:0") == replace(PERSON, id="v:1:0")
    assert await store.persons.get("w:1:0") == replace(PERSON, id="w:1:0", video_id="w", profile_id="p")
    places = {one.id: places_of(one) for one in await store.places.find()}
    seen = (SightedAt(0.5, Box(1, 2, 3, 4)), SightedAt(1.0, Box(5, 6, 7, 8)))
    assert places == {"v:1:0": seen, "w:1:0": ()}
    assert await documents.find("persons", {"places": {"$exists": True}}) == []


async def test_what_a_deletion_had_still_to_remove_is_removed(documents: Documents) -> None:
    """It lay with the tombstone, which now says only that the video was deleted."""
    bucket = {"bucket": "castlist", "key": "videos/v", "etag": None}
    await documents.insert("deleted", {"_id": "v", "latest_epoch": 3, "object": bucket, "at": NOW})
    await documents.insert("deleted", {"_id": "w", "latest_epoch": 1, "object": None, "at": NOW})
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    store = Store(documents)
    reference = StoredObject("castlist", "videos/v")
    assert await store.removals.find() == [removal("v", 1, 3, NOW, deleted=True, object=reference)]
    assert {one.id for one in await store.deleted.find()} == {"v", "w"}


async def test_suggestions_without_a_likeness_are_looked_for_again(documents: Documents) -> None:
    """In the galleries that have any; what is stored until then can be read."""
    store = Store(documents)
    for gallery in ("g", "h"):
        await store.galleries.insert(GalleryRecord(id=gallery, version=1, created_at=NOW))
    pair = {"profiles": ["p", "q"], "distance": 0.5}
    await documents.insert("suggestions", {"_id": "s", "gallery": "g", **pair})
    await documents.insert("suggestions", {"_id": "t", "gallery": "h", **pair, "likeness": 0.7})
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    due = {one.id for one in await store.galleries.find() if one.suggestions_due}
    assert due == {"g"}
    assert {(one.id, one.kind, one.profiles) for one in await store.suggestions.find()} == {
        (id, "one", ("p", "q")) for id in ("s", "t")
    }


async def test_profiles_of_before_know_when_they_were_seen(documents: Documents) -> None:
    """Their appearances have the moments of their videos, and the profiles what these add up to; those that have them
    already keep what they have."""
    store = Store(documents)
    later, earlier = NOW + timedelta(days=1), NOW - timedelta(days=9)
    for video, recorded in (("v", None), ("w", earlier)):
        await documents.insert("videos", {"_id": video, "recorded_at": recorded, "created_at": later})
    for profile, name in (("p", "Zoë  Ёлка"), ("q", None)):
        about = {"gallery": "g", "created_at": NOW, "updated_at": NOW, "video_count": 1}
        await documents.insert("profiles", {"_id": profile, "name": name, **about})
    known = ProfileRecord(
        id="r", gallery="g", name=None, hidden=True, created_at=NOW, updated_at=NOW, video_count=1, milliseconds=5
    )
    await store.profiles.insert(known)
    for profile, video, seconds in (("p", "v", 1.0004), ("p", "w", 2.5), ("q", "w", 0.25)):
        about = {"profile_id": profile, "video_id": video, "seconds": seconds}
        await documents.insert("appearances", {"_id": f"{profile}:{video}", **about})
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    moments = {one["_id"]: one["video_at"] for one in await documents.find("appearances", {})}
    assert moments == {"p:v": later, "p:w": earlier, "q:w": earlier}
    found = {one.id: one for one in await store.profiles.find(eq(ProfileRecord.hidden, False))}
    assert {id: (one.first_seen, one.last_seen, one.milliseconds) for id, one in found.items()} == {
        "p": (earlier, later, 3500),
        "q": (earlier, earlier, 250),
    }
    assert (found["p"].folded_name, found["q"].folded_name) == ("zoe елка", None)
    assert await store.profiles.get("r") == known


async def test_galleries_of_before_know_what_faces_nobody_is_made_of(documents: Documents) -> None:
    """Those of the runs whose people are in them, and of no other run."""
    for gallery in ("g", "h"):
        await documents.insert("galleries", {"_id": gallery, "version": 1, "created_at": NOW})
    for video, gallery, committed in (("a", "g", 2), ("b", "g", 1), ("c", "g", None), ("d", "h", None)):
        about = {"recorded_at": None, "created_at": NOW}
        await documents.insert("videos", {"_id": video, "gallery": gallery, "committed_epoch": committed, **about})
        for epoch in (1, 2):
            run = {"_id": task_id(video, epoch), "video_id": video, "epoch": epoch, "status": "done"}
            await documents.insert("tasks", {**run, "faces_skipped": {"too_small": 10**epoch, "blurred": 1}})
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    galleries = {one.id: one.faces_skipped for one in await Store(documents).galleries.find()}
    assert galleries == {"default": {}, "g": {"too_small": 110, "blurred": 2}, "h": {}}


async def test_what_galleries_had_still_to_say_is_said_in_order(documents: Documents) -> None:
    """It lay in the outbox with everybody's events; what is no gallery's history stays there."""
    store = Store(documents)
    said = [example(ProfileCreated, event_id=f"{v}:{i}", gallery="g", gallery_version=v, index=i) for v, i in PLACES]
    for one in said:
        await store.outbox.insert(outbox.entry(one, NOW, one.index))
    finished = example(TaskFinished, gallery="g")
    await store.outbox.insert(outbox.entry(finished, NOW))
    published = outbox.entry(example(ProfileCreated, event_id="old", gallery="g", gallery_version=6, index=0), NOW)
    await store.outbox.insert(replace(published, published_at=NOW))
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    order = [ascending(GalleryLogRecord.version), ascending(GalleryLogRecord.part)]
    logged = [event for one in await store.gallery_log.find(sort=order) for event in one.events]
    assert [ProfileCreated.model_validate_json(event).event_id for event in logged] == ["7:0", "7:1", "8:0"]
    assert set(await store.outbox.ids()) == {finished.event_id, "old"}


async def test_names_of_before_become_decisions(documents: Documents) -> None:
    """One for each profile that has one, about all who carry it; and outcomes of commands become changes."""
    named = plain(PERSON) | {"profile_id": "p", "name": "Ada"}
    for id in ("v:1:0", "w:1:0"):
        await documents.insert("persons", named | {"_id": id})
    await documents.insert("persons", plain(PERSON) | {"_id": "x:1:0", "profile_id": "q"})
    outcome = {"_id": "r", "gallery": "g", "kind": "rename_profile", "status": "applied", "at": NOW}
    await documents.insert("commands", outcome)
    await asyncio.gather(*(migrate(documents, NOW) for _ in range(3)))
    store = Store(documents)
    (decision,) = await store.decisions.find()
    assert (decision.gallery, decision.subjects, decision.about, decision.card) == (
        "g", ("p",), ("v:1:0", "w:1:0"), {"name": "Ada"}
    )  # fmt: skip
    assert await store.changes.get("r") == ChangeRecord(
        id="r", gallery="g", kind="rename_profile", status="applied", at=NOW
    )
    assert await documents.find("commands", {}) == []
