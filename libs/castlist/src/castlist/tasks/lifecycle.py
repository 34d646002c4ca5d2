"""The states of a task, and how it ends. Every step may be repeated, and happens once."""

from collections.abc import Sequence
from datetime import datetime

from castlist.contract.events import TaskFinished
from castlist.contract.ids import attempt_key, event_id, task_id
from castlist.ports.documents import Document, Documents
from castlist.store import outbox
from castlist.store.collections import CANCELS, OUTBOX, TASKS

QUEUED, PROCESSING, DONE, FAILED, CANCELLED = "queued", "processing", "done", "failed", "cancelled"
OPEN = (QUEUED, PROCESSING)
FINAL = (DONE, FAILED, CANCELLED)
# Everything `error.code` of a task may say.
ERROR_CODES = {
    "not_a_video": "The bytes are not a video in any container we know.",
    "no_video_stream": "There is no video in it, only sound or data.",
    "unreadable": "It begins like a video, but no frame of it could be decoded.",
    "undecodable": "Its video stream cannot be decoded here.",
    "object_missing": "The object is not in S3 (any more).",
    "object_changed": "The object is another one than was announced.",
    "limits_exceeded": "It is larger or longer than this installation takes.",
    "decoder_crashed": "Decoding it killed or hung a worker, three times.",
    "worker_vanished": "The workers on it vanished ten times.",
    "internal": "A mistake of ours; the message says where.",
    "superseded": "A newer task on the same video took over.",
    "cancelled": "Somebody cancelled it.",
    "video_deleted": "The video was deleted.",
}


def ending_of(status: str, code: str | None, message: str | None, now: datetime) -> Document:
    error = {"code": code, "message": message} if code else None
    done = {"progress": 1.0} if status == DONE else {}
    return {"status": status, "error": error, "updated_at": now, "finished_at": now, **done}


def finished_event(task: Document, now: datetime) -> TaskFinished:
    error = task["error"] or {}
    return TaskFinished(
        event_id=event_id("TaskFinished", task["_id"]),
        occurred_at=now,
        gallery=task["gallery"],
        task_id=task["_id"],
        video_id=task["video_id"],
        epoch=task["epoch"],
        status=task["status"],
        code=error.get("code"),
        message=error.get("message"),
    )


async def finish_in(
    tx: Documents,
    video_id: str,
    epoch: int,
    status: str,
    now: datetime,
    code: str | None = None,
    message: str | None = None,
) -> bool:
    """End a task inside the caller's transaction, with its event; False if it had ended already, or is not there."""
    task = await tx.update(
        TASKS,
        {"_id": task_id(video_id, epoch), "status": {"$in": list(OPEN)}},
        {"$set": ending_of(status, code, message, now)},
    )
    if task is not None:
        await outbox.add(tx, finished_event(task, now), now)
    return task is not None


async def finish_all_in(
    tx: Documents, attempts: Sequence[tuple[str, int]], status: str, now: datetime
) -> tuple[list[tuple[str, int]], list[Document]]:
    """End many tasks (of videos at epochs) inside the caller's transaction, or none of them.

    Returns those that had ended already or are not there (then nothing was written), and the events as they lie in
    the outbox.
    """
    ids = {task_id(*attempt): attempt for attempt in attempts}
    found = await tx.find(TASKS, {"_id": {"$in": sorted(ids)}, "status": {"$in": list(OPEN)}})
    if missing := ids.keys() - {task["_id"] for task in found}:
        return [ids[id] for id in sorted(missing)], []
    ending = ending_of(status, None, None, now)
    await tx.update_many(TASKS, {"_id": {"$in": sorted(ids)}}, {"$set": ending})
    entries = [outbox.entry(finished_event({**task, **ending}, now), now) for task in found]
    await tx.insert_many(OUTBOX, entries)
    return [], entries


async def finish(
    documents: Documents,
    video_id: str,
    epoch: int,
    status: str,
    now: datetime,
    code: str | None = None,
    message: str | None = None,
) -> bool:
    """End a task; False if it had ended already, or is not there."""
    return await documents.transaction(lambda tx: finish_in(tx, video_id, epoch, status, now, code, message))


async def is_wanted(documents: Documents, video_id: str, epoch: int) -> bool:
    """Whether work on this attempt still makes sense: it is not cancelled, and its task has not ended."""
    if await documents.get(CANCELS, attempt_key(video_id, epoch)) is not None:
        return False
    task = await documents.get(TASKS, task_id(video_id, epoch))
    return task is None or task["status"] in OPEN
