"""What a commit writes, inside its transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from castlist import events, tasks
from castlist.ids import attempt_key
from castlist.ports import Document, Documents
from castlist.schema import (
    APPEARANCES,
    CANCELS,
    DELETED,
    GALLERIES,
    PERSONS,
    PROFILES,
    REDIRECTS,
    TASKS,
    VIDEOS,
)
from profile_aggregator.commands import Command
from profile_aggregator.writes import Writes


async def obey(tx: Documents, command: Command, now: datetime) -> None:
    """What a command writes besides the gallery's persons."""
    match command:
        case events.ChangeSettings():
            chosen = {**command.settings.model_dump(), "across_video_distance": command.across_video_distance}
            await tx.update(GALLERIES, {"_id": command.gallery}, {"$set": {"settings": chosen}})
        case events.DeleteVideo():
            video = await tx.get(VIDEOS, command.video_id)
            if video is None or video["gallery"] != command.gallery:
                return
            last = int(video["latest_epoch"])
            for epoch in range(1, last + 1):
                message = "The video was deleted."
                await tasks.finish_in(tx, command.video_id, epoch, tasks.CANCELLED, now, "video_deleted", message)
                # Results that are still on their way find this, and go.
                await tx.replace(CANCELS, {"_id": attempt_key(command.video_id, epoch), "at": now})
            tomb = {"_id": command.video_id, "latest_epoch": last, "object": video["object"], "at": now}
            await tx.replace(DELETED, tomb)
            await tx.delete(VIDEOS, {"_id": command.video_id})
            await tx.delete(TASKS, {"video_id": command.video_id})


async def apply(tx: Documents, made: Writes) -> None:
    """Persons, profiles, appearances and redirects."""
    await _delete(tx, PERSONS, made.removed_persons)
    await tx.insert_many(PERSONS, made.inserted_persons)
    await _set_each(tx, PERSONS, {key: {"profile_id": profile} for key, profile in made.moved_persons.items()})
    await _set_each(tx, PERSONS, {key: {"name": name} for key, name in made.named_persons.items()})
    await tx.insert_many(PROFILES, made.created_profiles)
    await _set_each(tx, PROFILES, made.changed_profiles)
    await _delete(tx, PROFILES, made.removed_profiles)
    await tx.replace_many(REDIRECTS, made.redirects)
    founders = {profile: {"founder": founder} for profile, founder in made.refounded.items()}
    await _set_each(tx, PROFILES, founders)
    await _set_each(tx, REDIRECTS, founders)
    await _delete(tx, APPEARANCES, made.removed_appearances)
    await tx.replace_many(APPEARANCES, made.appearances)


async def _delete(tx: Documents, collection: str, ids: Sequence[str]) -> None:
    if ids:
        await tx.delete(collection, {"_id": {"$in": list(ids)}})


async def _set_each(tx: Documents, collection: str, changes: Mapping[str, Document]) -> None:
    for key, fields in changes.items():
        await tx.update(collection, {"_id": key}, {"$set": fields})
