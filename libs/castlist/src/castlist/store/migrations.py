"""Numbered steps that bring an older database up to date. Each may be run twice; each is recorded once done."""

import contextlib
import json
import logging
import struct
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from castlist.contract.codec import decode
from castlist.contract.ids import command_ledger_key, derived, task_id
from castlist.contract.text import folded
from castlist.contract.topics import GALLERY_COMMITS
from castlist.ports.documents import Document, Documents
from castlist.ports.errors import AlreadyExistsError
from castlist.store.pending import event_of
from castlist.store.query import eq, of_kind, set_once
from castlist.store.records.appearances import in_milliseconds
from castlist.store.records.change_history import ChangeRecord
from castlist.store.records.installation import MigrationRecord
from castlist.store.records.outbox import OutboxRecord
from castlist.store.records.pending import PendingCommand
from castlist.store.store import Store
from castlist.tasks.commands import BY_NAME, KINDS, Command, stage
from castlist.tasks.galleries import ensure_gallery
from castlist.tasks.lifecycle import FINAL

log = logging.getLogger(__name__)


async def _default_gallery(documents: Documents, now: datetime) -> None:
    """The gallery that uploads without one go to is there from the start."""
    await ensure_gallery(Store(documents), "default", now)


async def _names_of_0_1_0(documents: Documents, now: datetime) -> None:
    """What was called otherwise before 0.1.0: `controls`, `owners`, and the commands in `pending`."""
    for control in await documents.find("controls", {}):
        await _keep(documents, "resolved_cancels", control)
        await documents.delete("controls", {"_id": control["_id"]})
    for owner in await documents.find("owners", {}):
        if owner["_id"] == "kafka":
            created = owner.get("creations", 0)
            made_good = created - (1 if owner.get("topics_created") else 0)
            await _keep(documents, "topics", {"_id": "kafka", "created": created, "made_good": made_good})
        else:
            await _keep(documents, "instances", owner)
        await documents.delete("owners", {"_id": owner["_id"]})
    commands = {"$in": ["RenameProfile", "DeleteVideo", "ChangeSettings"]}
    for pending in await documents.find("pending", {"kind": commands}):
        command: Document = {**pending, "kind": "command", "name": pending["kind"]}
        await documents.replace("pending", command)


async def _outcomes_of_commands(documents: Documents, now: datetime) -> None:
    """Commands that were accepted and not carried out lay in `pending`, or in the outbox alone."""
    store = Store(documents)
    for one in await store.pending.find(of_kind(PendingCommand)):
        if isinstance(one, PendingCommand):
            kind = KINDS[BY_NAME[one.name]]
            with contextlib.suppress(AlreadyExistsError):
                await store.changes.insert(
                    ChangeRecord(id=event_of(one), gallery=one.gallery, kind=kind, at=one.created_at)
                )
    for entry in await store.outbox.find(eq(OutboxRecord.topic, GALLERY_COMMITS.name)):
        if await store.ledger.get(command_ledger_key(entry.key, entry.id)) is None:
            command = decode(GALLERY_COMMITS, entry.value.encode())
            if isinstance(command, Command):
                await stage(store, command, entry.created_at)


async def _ended_tasks_are_cleared(documents: Documents, now: datetime) -> None:
    """Of tasks that ended before, everything that they were worked out from was kept."""
    ended = {"status": {"$in": list(FINAL)}, "clear_after": {"$exists": False}}
    await documents.update_many("tasks", ended, {"$set": {"clear_after": now}})


async def _keep(documents: Documents, collection: str, document: Document) -> None:
    """What another process has moved already may have changed since."""
    with contextlib.suppress(AlreadyExistsError):
        await documents.insert(collection, document)


async def _a_document_a_person(documents: Documents, now: datetime) -> None:
    """Found people lay in one document of `pending`, and where each was seen in the midst of a person."""
    for pending in await documents.find("pending", {"kind": "people", "persons": {"$exists": True}}):
        for person in pending["persons"]:
            await _keep(documents, "persons", person)
        people = {"$set": {"people": len(pending["persons"])}, "$unset": {"persons": ""}}
        await documents.update("pending", {"_id": pending["_id"]}, people)
    while persons := await documents.find("persons", {"places": {"$exists": True}}, fields=["places"], limit=_BATCH):
        for person in persons:
            rows = [float(number) for place in person["places"] for number in place]
            await _keep(documents, "places", {"_id": person["_id"], "places": struct.pack(f"<{len(rows)}f", *rows)})
        await documents.update_each("persons", {person["_id"]: {"$unset": {"places": ""}} for person in persons})


async def _what_is_to_be_removed(documents: Documents, now: datetime) -> None:
    """What was left of a deleted video lay with its tombstone."""
    for deleted in await documents.find("deleted", {"object": {"$ne": None}}):
        video, last = deleted["_id"], deleted["latest_epoch"]
        runs = {"video_id": video, "first": 1, "last": last, "deleted": True}
        removal = {"_id": f"{video}:{last}:1:deleted", **runs, "object": deleted["object"], "at": deleted["at"]}
        await _keep(documents, "removals", removal)
        await documents.update("deleted", {"_id": video}, {"$unset": {"object": ""}})


async def _events_of_a_gallery_in_order(documents: Documents, now: datetime) -> None:
    """What galleries had still to say lay among everybody's events, and went out by the clock."""
    unpublished = {"topic": "profile.events", "published_at": None}
    said: dict[tuple[str, int], list[Document]] = defaultdict(list)
    for entry in await documents.find("outbox", unpublished, sort=[("order", 1)]):
        if (version := json.loads(entry["value"]).get("gallery_version")) is not None:
            said[entry["key"], version].append(entry)
    for (gallery, version), entries in said.items():
        place = {"_id": f"{gallery}:{version}:0", "gallery": gallery, "version": version, "part": 0}
        events = [one["value"] for one in entries]
        await _keep(documents, "gallery_log", {**place, "events": events, "at": entries[0]["created_at"]})
        await documents.delete("outbox", {"_id": {"$in": [one["_id"] for one in entries]}})


async def _suggestions_with_a_likeness(documents: Documents, now: datetime) -> None:
    """Galleries that have suggestions are looked through again: how likely they are was not said."""
    galleries = {one["gallery"] for one in await documents.find("suggestions", {"likeness": {"$exists": False}})}
    await documents.update_many("galleries", {"_id": {"$in": sorted(galleries)}}, {"$set": {"suggestions_due": True}})


async def _changes_and_decisions(documents: Documents, now: datetime) -> None:
    """What became of commands lay in `commands`; a name was said of persons alone, by no decision."""
    for command in await documents.find("commands", {}):
        await _keep(documents, "changes", command)
        await documents.delete("commands", {"_id": command["_id"]})
    named: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    wanted = {"name": {"$ne": None}, "profile_id": {"$ne": None}}
    for person in await documents.find("persons", wanted, fields=["gallery", "profile_id", "name"]):
        named[person["gallery"], person["profile_id"], person["name"]].append(person["_id"])
    for (gallery, profile, name), persons in named.items():
        said = {"gallery": gallery, "version": 0, "subjects": [profile], "about": sorted(persons)}
        id = derived("decision", gallery, profile, name)
        await _keep(documents, "decisions", {"_id": id, **said, "card": {"name": name}})


async def _who_was_seen_when(documents: Documents, now: datetime) -> None:
    """Appearances did not say when their video was, nor profiles what these add up to, or how to look up a name."""
    async for some in _in_batches(documents, "appearances", ["video_id", "video_at"]):
        ids = sorted({one["video_id"] for one in some if "video_at" not in one})
        videos = await documents.find("videos", {"_id": {"$in": ids}}, fields=["recorded_at", "created_at"])
        moments = {video["_id"]: video["recorded_at"] or video["created_at"] for video in videos}
        changes = {one["_id"]: moments.get(one["video_id"]) for one in some if "video_at" not in one}
        await documents.update_each("appearances", {id: {"$set": {"video_at": at}} for id, at in changes.items()})
    async for some in _in_batches(documents, "profiles", ["name", "hidden", "tags", "milliseconds"]):
        bare = [one for one in some if "milliseconds" not in one]
        seen: dict[str, list[Document]] = defaultdict(list)
        of_these = {"profile_id": {"$in": [one["_id"] for one in bare]}}
        for one in await documents.find("appearances", of_these, fields=["profile_id", "video_at", "seconds"]):
            seen[one["profile_id"]].append(one)
        await documents.update_each(
            "profiles", {one["_id"]: {"$set": _added_up(one, seen[one["_id"]])} for one in bare}
        )


async def _faces_that_galleries_skip(documents: Documents, now: datetime) -> None:
    """Only tasks said how many faces nobody is made of."""
    skipped: dict[str, Counter[str]] = defaultdict(Counter)
    async for videos in _in_batches(documents, "videos", ["gallery", "committed_epoch"]):
        runs = {task_id(one["_id"], one["committed_epoch"]): one for one in videos if one.get("committed_epoch")}
        for task in await documents.find("tasks", {"_id": {"$in": sorted(runs)}}, fields=["faces_skipped"]):
            skipped[runs[task["_id"]]["gallery"]].update(task.get("faces_skipped", {}))
    bare = {"faces_skipped": {"$exists": False}}
    for gallery, counts in skipped.items():
        await documents.update("galleries", {"_id": gallery, **bare}, {"$set": {"faces_skipped": dict(counts)}})


def _added_up(profile: Document, appearances: list[Document]) -> Document:
    moments = [one["video_at"] for one in appearances if one["video_at"] is not None]
    return {
        "folded_name": profile["name"] and folded(profile["name"]),
        "hidden": profile.get("hidden", False),
        "tags": profile.get("tags", []),
        "first_seen": min(moments, default=None),
        "last_seen": max(moments, default=None),
        "milliseconds": sum(in_milliseconds(one["seconds"]) for one in appearances),
    }


async def _in_batches(documents: Documents, collection: str, fields: list[str]) -> AsyncIterator[list[Document]]:
    """All documents, by their ids."""
    last = ""
    while some := await documents.find(
        collection, {"_id": {"$gt": last}}, sort=[("_id", 1)], limit=_BATCH, fields=fields
    ):
        yield some
        last = some[-1]["_id"]


_BATCH = 1_000
Step = Callable[[Documents, datetime], Awaitable[None]]
STEPS: tuple[tuple[int, Step], ...] = (
    (1, _default_gallery),
    (2, _names_of_0_1_0),
    (3, _outcomes_of_commands),
    (4, _ended_tasks_are_cleared),
    (5, _a_document_a_person),
    (6, _what_is_to_be_removed),
    (7, _events_of_a_gallery_in_order),
    (8, _suggestions_with_a_likeness),
    (9, _changes_and_decisions),
    (10, _who_was_seen_when),
    (11, _faces_that_galleries_skip),
)


async def migrate(documents: Documents, now: datetime) -> list[int]:
    """Run the steps that are not recorded, in order; returns their numbers."""
    store = Store(documents)
    done = {int(one.id) for one in await store.migrations.find()}
    ran: list[int] = []
    for number, step in STEPS:
        if number not in done:
            await step(documents, now)
            await store.migrations.upsert(str(number), set_once(MigrationRecord.done_at, now))
            log.info("migrated", extra={"step": number})
            ran.append(number)
    return ran
