"""Cancelling a run: remembered, so that it may come before what it cancels."""

from datetime import datetime

from castlist.contract.commands import CancelVideo
from castlist.contract.ids import attempt_key
from castlist.ports.documents import Documents
from castlist.store.collections import CANCELS, CONTROLS, VIDEOS
from castlist.tasks.lifecycle import CANCELLED, finish, finish_in

_ON_REQUEST = ("cancelled", "Cancelled on request.")


async def resolve_cancel(documents: Documents, cancel: CancelVideo, now: datetime) -> int:
    """The epoch that `cancel` is about. Without one in it: the epoch current when it first got here, stored."""
    if cancel.epoch is not None:
        return cancel.epoch
    video = await documents.get(VIDEOS, cancel.video_id)
    current = video["latest_epoch"] if video else 1
    stored = await documents.update(
        CONTROLS, {"_id": cancel.event_id}, {"$setOnInsert": {"epoch": current, "at": now}}, upsert=True
    )
    return int(stored["epoch"]) if stored else int(current)


async def cancel(documents: Documents, video_id: str, epoch: int, now: datetime) -> bool:
    """Remember the cancel, and end the task if it is open; False if there was nothing to end (yet)."""

    async def body(tx: Documents) -> bool:
        await tx.update(CANCELS, {"_id": attempt_key(video_id, epoch)}, {"$setOnInsert": {"at": now}}, upsert=True)
        return await finish_in(tx, video_id, epoch, CANCELLED, now, *_ON_REQUEST)

    return await documents.transaction(body) or await finish_cancelled(documents, video_id, epoch, now)


async def finish_cancelled(documents: Documents, video_id: str, epoch: int, now: datetime) -> bool:
    return await finish(documents, video_id, epoch, CANCELLED, now, *_ON_REQUEST)
