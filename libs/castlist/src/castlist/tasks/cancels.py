"""Cancelling a run: remembered, so that it may come before what it cancels."""

from datetime import datetime

from castlist.contract.commands import CancelVideo
from castlist.contract.ids import cancel_key, run_key
from castlist.store.query import insert_as
from castlist.store.records.tasks import CancelRecord, ResolvedCancelRecord
from castlist.store.store import Store
from castlist.tasks.lifecycle import CANCELLED, ON_REQUEST, finish, finish_in, is_deleted


async def resolve_cancel(store: Store, cancel: CancelVideo, now: datetime) -> int:
    """The epoch that `cancel` is about. Without one in it: the epoch current when it first got here, stored."""
    if cancel.epoch is not None:
        return cancel.epoch
    video = await store.videos.get(cancel.video_id)
    key = cancel_key(cancel.video_id, cancel.event_id)
    current = ResolvedCancelRecord(id=key, epoch=video.latest_epoch if video else 1, at=now)
    return (await store.resolved_cancels.upsert(key, insert_as(current))).epoch


async def cancel(store: Store, video_id: str, epoch: int, now: datetime) -> bool:
    """Remember the cancel, and end the task if it is open; False if there was nothing to end (yet)."""
    run = run_key(video_id, epoch)

    async def body(transaction: Store) -> bool:
        await transaction.cancels.upsert(run, insert_as(CancelRecord(id=run, at=now)))
        return await finish_in(transaction, video_id, epoch, CANCELLED, now, ON_REQUEST)

    return await store.transaction(body) or await finish_cancelled(store, video_id, epoch, now)


async def is_cancelled(store: Store, video_id: str, epoch: int) -> bool:
    """Whether a cancel of this run is remembered, or its video was deleted."""
    cancel = await store.cancels.get(run_key(video_id, epoch))
    return cancel is not None or await is_deleted(store, video_id, epoch)


async def finish_cancelled(store: Store, video_id: str, epoch: int, now: datetime) -> bool:
    """End the task of a run whose cancel is remembered already."""
    return await finish(store, video_id, epoch, CANCELLED, now, ON_REQUEST)
