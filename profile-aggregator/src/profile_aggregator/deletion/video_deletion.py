"""A video that is deleted: its records, inside a transaction, and what is to follow of what MongoDB does not reach."""

from datetime import datetime

from castlist.contract.commands import CancelVideo
from castlist.contract.events import TaskFinished
from castlist.contract.ids import event_id
from castlist.store import outbox
from castlist.store.query import eq, with_id, with_ids
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.records.videos import DeletedVideoRecord, VideoRecord
from castlist.store.store import Store
from castlist.tasks import lifecycle
from profile_aggregator.deletion.listeners import forget_video_in
from profile_aggregator.deletion.removals import removal

_DELETED = TaskError("video_deleted", "The video was deleted.")


async def delete_video_in(
    transaction: Store, video: VideoRecord, now: datetime, erasure: str | None = None
) -> list[TaskFinished]:
    """The video goes, and its tasks; workers are told, and keep no copy of it. Returns how open tasks end.

    Its people are the caller's. `erasure`: what it is part of; then what the outbox still says of the video goes too.
    """
    last = video.latest_epoch
    tasks = await transaction.tasks.find(eq(TaskRecord.video_id, video.id))
    # Results of any of its epochs that are still on their way find this, and go.
    await transaction.deleted.replace(DeletedVideoRecord(id=video.id, latest_epoch=last, at=now))
    await transaction.removals.replace(
        removal(video.id, 1, last, now, deleted=True, object=video.object, erasure=erasure)
    )
    await transaction.videos.delete(with_id(video.id))
    await transaction.tasks.delete(eq(TaskRecord.video_id, video.id))
    await forget_video_in(transaction, video.id)
    if erasure is not None:
        await transaction.outbox.delete(with_ids(event_id("VideoUploaded", video.id, task.epoch) for task in tasks))
    still_open = [task for task in tasks if task.status in lifecycle.OPEN]
    for epoch in {last, *(task.epoch for task in still_open)}:
        stop = CancelVideo(
            event_id=event_id("CancelVideo", video.id, epoch, "deleted"),
            occurred_at=now,
            video_id=video.id,
            epoch=epoch,
            forget=video.object,
        )
        await outbox.add(transaction, stop, now)
    return [lifecycle.finished_event(task, lifecycle.CANCELLED, _DELETED, now) for task in still_open]
