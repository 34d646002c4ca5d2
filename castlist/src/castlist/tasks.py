"""Videos and tasks: how they come to be, and how a task ends. Every step may be repeated, and happens once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from castlist import outbox
from castlist.codec import Poison
from castlist.events import CancelVideo, StoredObject, TaskFinished, VideoUploaded
from castlist.ids import attempt_key, event_id, task_id
from castlist.ports import Document, Documents
from castlist.schema import CANCELS, CONTROLS, DELETED, GALLERIES, OUTBOX, TASKS, VIDEOS

QUEUED, PROCESSING, DONE, FAILED, CANCELLED = "queued", "processing", "done", "failed", "cancelled"
OPEN = (QUEUED, PROCESSING)
_ON_REQUEST = ("cancelled", "Cancelled on request.")
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


@dataclass(frozen=True)
class Registered:
    """The documents of a video and of one task on it, and whether this call made the task."""

    video: Document
    task: Document
    created: bool


async def ensure_gallery(documents: Documents, gallery: str, now: datetime) -> None:
    """Galleries come to be by being used. Outside of transactions: two at once must not conflict over it."""
    if await documents.get(GALLERIES, gallery) is None:
        await documents.update(
            GALLERIES, {"_id": gallery}, {"$setOnInsert": {"version": 0, "created_at": now}}, upsert=True
        )


async def register(
    documents: Documents, uploaded: VideoUploaded, now: datetime, *, announce: bool = False
) -> Registered:
    """Make the video and the task that `uploaded` speaks of, unless they are there.

    With `announce`, the event goes into the outbox in the same transaction; a video that was deleted begins again with
    its next epoch. Poison if the video's id stands for another object or gallery already, or was deleted.
    """
    await ensure_gallery(documents, uploaded.gallery, now)
    if (deleted := await documents.get(DELETED, uploaded.video_id)) is not None:
        uploaded = _after_deletion(uploaded, int(deleted["latest_epoch"]), announce)
    this_task = task_id(uploaded.video_id, uploaded.epoch)
    video, task = await documents.get(VIDEOS, uploaded.video_id), await documents.get(TASKS, this_task)
    if video is not None and task is not None:
        _same_video(video, uploaded)
        return Registered(video, task, created=False)

    async def body(tx: Documents) -> Registered:
        video = await tx.get(VIDEOS, uploaded.video_id)
        if video is None:
            video = _video(uploaded, now)
            await tx.insert(VIDEOS, video)
        _same_video(video, uploaded)
        task = await tx.get(TASKS, this_task)
        if task is not None:
            return Registered(video, task, created=False)
        task = _task(uploaded, str(video["name"]), now)
        if await tx.get(CANCELS, attempt_key(uploaded.video_id, uploaded.epoch)) is not None:
            task |= _ending(CANCELLED, "cancelled", "Cancelled before it began.", now)
            await outbox.add(tx, _finished(task, now), now)
        await tx.insert(TASKS, task)
        if uploaded.epoch >= video["latest_epoch"]:
            latest = {"latest_epoch": uploaded.epoch, "latest_task_id": this_task}
            video = await tx.update(VIDEOS, {"_id": video["_id"]}, {"$set": latest}) or video
        if announce:
            await outbox.add(tx, uploaded, now)
        return Registered(video, task, created=True)

    registered = await documents.transaction(body)
    # A cancel that committed beside us saw no task, and we saw no cancel. Each looks again; the later one sees both.
    if registered.created and await documents.get(CANCELS, attempt_key(uploaded.video_id, uploaded.epoch)) is not None:
        await _finish_cancelled(documents, uploaded.video_id, uploaded.epoch, now)
        task = await documents.get(TASKS, this_task)
        return Registered(registered.video, task or registered.task, created=True)
    return registered


def _after_deletion(uploaded: VideoUploaded, last: int, announce: bool) -> VideoUploaded:
    if uploaded.epoch > last:
        return uploaded
    if not announce:
        raise Poison(f"video {uploaded.video_id} was deleted; to have it again, announce it with epoch {last + 1}")
    again = {"epoch": last + 1, "event_id": event_id("VideoUploaded", uploaded.video_id, last + 1)}
    return uploaded.model_copy(update=again)


def announcement(video: Document, epoch: int, now: datetime) -> VideoUploaded:
    """The event that announces a run over a stored video; the same one however often it is made."""
    return VideoUploaded(
        event_id=event_id("VideoUploaded", video["_id"], epoch),
        occurred_at=now,
        video_id=video["_id"],
        epoch=epoch,
        gallery=video["gallery"],
        object=StoredObject.model_validate(video["object"]),
        name=video["name"],
        bytes=video["bytes"],
        sha256=video["sha256"],
        recorded_at=video["recorded_at"],
        external_id=video["external_id"],
    )


def _same_video(video: Document, uploaded: VideoUploaded) -> None:
    known = video["object"]
    if (known["bucket"], known["key"]) != (uploaded.object.bucket, uploaded.object.key):
        raise Poison(f"video {uploaded.video_id} is another object already")
    if video["gallery"] != uploaded.gallery:
        raise Poison(f"video {uploaded.video_id} is in gallery {video['gallery']} already")


def _video(uploaded: VideoUploaded, now: datetime) -> Document:
    return {
        "_id": uploaded.video_id,
        "gallery": uploaded.gallery,
        "name": uploaded.name or uploaded.object.key.rsplit("/", 1)[-1],
        "bytes": uploaded.bytes,
        "sha256": uploaded.sha256,
        "object": uploaded.object.model_dump(),
        "duration": None,
        "width": None,
        "height": None,
        "frame_rate": None,
        "recorded_at": uploaded.recorded_at,
        "external_id": uploaded.external_id,
        "created_at": now,
        "latest_epoch": uploaded.epoch,
        "latest_task_id": task_id(uploaded.video_id, uploaded.epoch),
    }


def _task(uploaded: VideoUploaded, name: str, now: datetime) -> Document:
    return {
        "_id": task_id(uploaded.video_id, uploaded.epoch),
        "video_id": uploaded.video_id,
        "video_name": name,
        "gallery": uploaded.gallery,
        "epoch": uploaded.epoch,
        "status": QUEUED,
        "progress": 0.0,
        "chunks_done": 0,
        "chunks_planned": None,
        "settings": None,
        "faces_skipped": {},
        "warnings": [],
        "error": None,
        "created_at": now,
        "updated_at": now,
        "started_at": None,
        "finished_at": None,
    }


def _ending(status: str, code: str | None, message: str | None, now: datetime) -> Document:
    error = {"code": code, "message": message} if code else None
    done = {"progress": 1.0} if status == DONE else {}
    return {"status": status, "error": error, "updated_at": now, "finished_at": now, **done}


def _finished(task: Document, now: datetime) -> TaskFinished:
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
        {"$set": _ending(status, code, message, now)},
    )
    if task is not None:
        await outbox.add(tx, _finished(task, now), now)
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
    ending = _ending(status, None, None, now)
    await tx.update_many(TASKS, {"_id": {"$in": sorted(ids)}}, {"$set": ending})
    entries = [outbox.entry(_finished({**task, **ending}, now), now) for task in found]
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

    return await documents.transaction(body) or await _finish_cancelled(documents, video_id, epoch, now)


async def _finish_cancelled(documents: Documents, video_id: str, epoch: int, now: datetime) -> bool:
    return await finish(documents, video_id, epoch, CANCELLED, now, *_ON_REQUEST)


async def is_wanted(documents: Documents, video_id: str, epoch: int) -> bool:
    """Whether work on this attempt still makes sense: it is not cancelled, and its task has not ended."""
    if await documents.get(CANCELS, attempt_key(video_id, epoch)) is not None:
        return False
    task = await documents.get(TASKS, task_id(video_id, epoch))
    return task is None or task["status"] in OPEN
