"""How videos and tasks come to be. Every step may be repeated, and happens once."""

from dataclasses import dataclass
from datetime import datetime

from castlist.contract.codec import Poison
from castlist.contract.events import VideoUploaded
from castlist.contract.ids import attempt_key, event_id, task_id
from castlist.contract.values import StoredObject
from castlist.ports.documents import Document, Documents
from castlist.store import outbox
from castlist.store.collections import CANCELS, DELETED, GALLERIES, TASKS, VIDEOS
from castlist.tasks.cancels import finish_cancelled
from castlist.tasks.lifecycle import CANCELLED, QUEUED, ending_of, finished_event


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
            task |= ending_of(CANCELLED, "cancelled", "Cancelled before it began.", now)
            await outbox.add(tx, finished_event(task, now), now)
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
        await finish_cancelled(documents, uploaded.video_id, uploaded.epoch, now)
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
