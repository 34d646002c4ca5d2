"""The states of a task, and how it ends. Every step may be repeated, and happens once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from castlist.contract.events import TaskFinished
from castlist.contract.ids import event_id, run_key, task_id
from castlist.contract.values import in_short
from castlist.store import outbox
from castlist.store.query import Change, one_of, set_to, with_id, with_ids
from castlist.store.records.tasks import Status, TaskError, TaskRecord
from castlist.store.store import Store

FinalStatus = Literal["done", "failed", "cancelled"]

QUEUED: Literal["queued"] = "queued"
PROCESSING: Literal["processing"] = "processing"
DONE: Literal["done"] = "done"
FAILED: Literal["failed"] = "failed"
CANCELLED: Literal["cancelled"] = "cancelled"
OPEN: tuple[Status, ...] = (QUEUED, PROCESSING)
FINAL: tuple[Status, ...] = (DONE, FAILED, CANCELLED)

# Everything `error.code` of a task may say.
ERROR_CODES = {
    "not_a_video": "The bytes are not a video in any format that is read, or too damaged to be opened.",
    "no_video_stream": "There is no video in it, only sound or data.",
    "unreadable": "It begins like a video, but no frame of it could be decoded.",
    "encrypted": "It is encrypted, and cannot be read without its key.",
    "undecodable": "Its video stream cannot be decoded here.",
    "object_missing": "The object is not in S3 (any more).",
    "object_forbidden": "The object's bucket does not let us read it.",
    "object_changed": "The object is another one than was announced.",
    "limits_exceeded": "It is larger or longer than this installation takes.",
    "object_not_allowed": "The object may not be announced here: `ALLOWED_OBJECTS` says which may.",
    "decoder_crashed": "Decoding it killed or hung a worker, three times.",
    "worker_vanished": "The workers on it vanished ten times.",
    "internal": "A mistake of ours; the message says where.",
    "superseded": "A newer task on the same video took over.",
    "cancelled": "It was cancelled on request.",
    "video_deleted": "The video was deleted.",
}
CLEAR_AFTER = timedelta(minutes=1)
"""How long results of a run stay after its end: who was about to write one has seen the end by then."""
ON_REQUEST = TaskError("cancelled", "Cancelled on request.")


def ending(status: FinalStatus, error: TaskError | None, now: datetime) -> Change:
    """What becomes of a task that ends."""
    change = (
        set_to(TaskRecord.status, status)
        & set_to(TaskRecord.error, error)
        & set_to(TaskRecord.updated_at, now)
        & set_to(TaskRecord.finished_at, now)
        & set_to(TaskRecord.clear_after, now + CLEAR_AFTER)
    )
    return change & set_to(TaskRecord.progress, 1.0) if status == DONE else change


def finished_event(task: TaskRecord, status: FinalStatus, error: TaskError | None, now: datetime) -> TaskFinished:
    """The event that says how a task ended."""
    return TaskFinished(
        event_id=event_id("TaskFinished", task.id),
        occurred_at=now,
        gallery=task.gallery,
        task_id=task.id,
        video_id=task.video_id,
        epoch=task.epoch,
        status=status,
        code=error.code if error else None,
        message=in_short(error.message) if error else None,
    )


async def finish_in(
    transaction: Store, video_id: str, epoch: int, status: FinalStatus, now: datetime, error: TaskError | None = None
) -> bool:
    """End a task inside the caller's transaction, with its event; False if it had ended already, or is not there."""
    open_task = with_id(task_id(video_id, epoch)) & one_of(TaskRecord.status, OPEN)
    task = await transaction.tasks.update(open_task, ending(status, error, now))
    if task is not None:
        await outbox.add(transaction, finished_event(task, status, error, now), now)
    return task is not None


async def finish_all_in(
    transaction: Store, runs: Sequence[tuple[str, int]], status: FinalStatus, now: datetime
) -> tuple[list[tuple[str, int]], list[TaskFinished]]:
    """End the tasks of many runs (video, epoch) inside the caller's transaction, or none of them.

    Returns those that had ended already or are not there (then nothing was written), and the events, which the caller
    is to publish.
    """
    ids = {task_id(*run): run for run in runs}
    found = await transaction.tasks.find(with_ids(sorted(ids)) & one_of(TaskRecord.status, OPEN))
    if missing := ids.keys() - {task.id for task in found}:
        return [ids[id] for id in sorted(missing)], []
    await transaction.tasks.update_many(with_ids(sorted(ids)), ending(status, None, now))
    return [], [finished_event(task, status, None, now) for task in found]


async def finish(
    store: Store, video_id: str, epoch: int, status: FinalStatus, now: datetime, error: TaskError | None = None
) -> bool:
    """End a task; False if it had ended already, or is not there."""
    return await store.transaction(lambda transaction: finish_in(transaction, video_id, epoch, status, now, error))


async def is_wanted(store: Store, video_id: str, epoch: int) -> bool:
    """Whether work on this run still makes sense: it is not cancelled or deleted, and its task has not ended."""
    if await store.cancels.get(run_key(video_id, epoch)) is not None:
        return False
    task = await store.tasks.get(task_id(video_id, epoch))
    return task.status in OPEN if task is not None else not await is_deleted(store, video_id, epoch)


async def is_deleted(store: Store, video_id: str, epoch: int) -> bool:
    """Whether this run went with its video: the tombstone stands for all epochs up to its own."""
    deleted = await store.deleted.get(video_id)
    return deleted is not None and epoch <= deleted.latest_epoch
