"""What a commit writes, inside its transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from castlist.contract import commands
from castlist.contract.ids import attempt_key
from castlist.ports.documents import Document, Documents
from castlist.store import outbox
from castlist.store.collections import (
    APPEARANCES,
    CANCELS,
    DELETED,
    GALLERIES,
    LEDGER,
    OUTBOX,
    PENDING,
    PERSONS,
    PROFILES,
    REDIRECTS,
    SUGGESTIONS,
    TASKS,
    VIDEOS,
)
from castlist.tasks import lifecycle
from castlist_identity.reclustering import RECLUSTER, recluster_key
from profile_aggregator.commits.commands import PEOPLE, Command, command_of, ledger_entry
from profile_aggregator.commits.commit_documents import Writes
from profile_aggregator.commits.commit_planner import Plan, Stale


class Ended(Exception):
    """The task of one of the videos ended otherwise while its people were pending."""

    def __init__(self, pending: Document) -> None:
        super().__init__(pending["_id"])
        self.pending = pending


async def write(tx: Documents, plan: Plan, now: datetime) -> list[Document]:
    """All of a commit; the events to publish as they lie in the outbox.

    Raises Stale, Ended or AlreadyExists, all of which undo it.
    """
    await tx.insert_many(LEDGER, [{"_id": ledger_entry(one), "at": now} for one in plan.batch])
    change: Document = {"$inc": {"version": 1}, "$set": {"committed_at": now, "suggestions_due": True}}
    if plan.retunes:
        change["$set"]["distance"] = plan.distance
    if await tx.update(GALLERIES, {"_id": plan.gallery, "version": plan.loaded.version}, change) is None:
        raise Stale
    said = await _finish(tx, [one for one in plan.batch if one["kind"] == PEOPLE], now)
    for one in plan.batch:
        if (command := command_of(one)) is not None:
            await _obey(tx, command, now)
    await _apply(tx, plan.writes)
    await _delete(tx, PENDING, [one["_id"] for one in plan.batch])
    if plan.todo is not None:
        await _remember(tx, plan, now)
    entries = [outbox.entry(event, now, order) for order, event in enumerate(plan.writes.events)]
    await tx.insert_many(OUTBOX, entries)
    return entries + said  # whoever hears that a task is done has heard of its people


async def _finish(tx: Documents, people: Sequence[Document], now: datetime) -> list[Document]:
    """The tasks are done, and the videos know which run was committed."""
    if not people:
        return []
    attempts = {(one["video_id"], one["epoch"]): one for one in people}
    ended, said = await lifecycle.finish_all_in(tx, list(attempts), lifecycle.DONE, now)
    if ended:
        raise Ended(attempts[ended[0]])
    for epoch, run in groupby(sorted(people, key=itemgetter("epoch")), key=itemgetter("epoch")):
        videos = [one["video_id"] for one in run]
        await tx.update_many(VIDEOS, {"_id": {"$in": videos}}, {"$max": {"committed_epoch": epoch}})
    return said


async def _remember(tx: Documents, plan: Plan, now: datetime) -> None:
    """What is still to be reconsidered; while there is anything, the gallery is not settled."""
    key = recluster_key(plan.gallery)
    if plan.todo is None or plan.todo.done:
        await tx.delete(PENDING, {"_id": key})
        return
    left = {"after": plan.todo.after, "keys": sorted(plan.todo.keys), "created_at": now}
    await tx.replace(PENDING, {"_id": key, "kind": RECLUSTER, "gallery": plan.gallery, **left})


async def _obey(tx: Documents, command: Command, now: datetime) -> None:
    """What a command writes besides the gallery's persons."""
    match command:
        case commands.ChangeSettings():
            chosen = {**command.settings.model_dump(), "across_video_distance": command.across_video_distance}
            await tx.update(GALLERIES, {"_id": command.gallery}, {"$set": {"settings": chosen}})
        case commands.DeleteVideo():
            video = await tx.get(VIDEOS, command.video_id)
            if video is None or video["gallery"] != command.gallery:
                return
            last = int(video["latest_epoch"])
            for epoch in range(1, last + 1):
                message = "The video was deleted."
                await lifecycle.finish_in(
                    tx, command.video_id, epoch, lifecycle.CANCELLED, now, "video_deleted", message
                )
                # Results that are still on their way find this, and go.
                await tx.replace(CANCELS, {"_id": attempt_key(command.video_id, epoch), "at": now})
            tomb = {"_id": command.video_id, "latest_epoch": last, "object": video["object"], "at": now}
            await tx.replace(DELETED, tomb)
            await tx.delete(VIDEOS, {"_id": command.video_id})
            await tx.delete(TASKS, {"video_id": command.video_id})


async def _apply(tx: Documents, made: Writes) -> None:
    """Persons, profiles, appearances and redirects."""
    await _delete(tx, PERSONS, made.removed_persons)
    await tx.insert_many(PERSONS, made.inserted_persons)
    await _set_each(tx, PERSONS, {key: {"profile_id": profile} for key, profile in made.moved_persons.items()})
    await _set_each(tx, PERSONS, {key: {"name": name} for key, name in made.named_persons.items()})
    await tx.insert_many(PROFILES, made.created_profiles)
    await _set_each(tx, PROFILES, made.changed_profiles)
    await _delete(tx, PROFILES, made.removed_profiles)
    await tx.replace_many(REDIRECTS, made.redirects)
    if made.removed_profiles:
        await tx.delete(SUGGESTIONS, {"profiles": {"$in": list(made.removed_profiles)}})
    founders = {profile: {"founder": founder} for profile, founder in made.refounded.items()}
    await _set_each(tx, PROFILES, founders)
    await _set_each(tx, REDIRECTS, founders)
    await _delete(tx, APPEARANCES, made.removed_appearances)
    await tx.replace_many(APPEARANCES, made.appearances)


async def _delete(tx: Documents, collection: str, ids: Sequence[str]) -> None:
    if ids:
        await tx.delete(collection, {"_id": {"$in": list(ids)}})


async def _set_each(tx: Documents, collection: str, changes: Mapping[str, Document]) -> None:
    await tx.update_each(collection, {key: {"$set": fields} for key, fields in changes.items()})
