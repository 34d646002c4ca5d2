"""How videos and tasks come to be. Every step may be repeated, and happens once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from castlist.contract.bounds import WHOLE
from castlist.contract.errors import PermanentError
from castlist.contract.events import VideoUploaded
from castlist.contract.ids import event_id, task_id
from castlist.contract.values import StoredObject
from castlist.store import outbox
from castlist.store.query import set_to, with_id
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from castlist.tasks.cancels import finish_cancelled, is_cancelled
from castlist.tasks.galleries import begin_anew, ensure_gallery
from castlist.tasks.lifecycle import CANCELLED, QUEUED, finished_event

Keep = Callable[[Store], Awaitable[None]]
"""Says, inside the transaction, that the object is the video's from then on; may raise, and undo it."""
_BEFORE_IT_BEGAN = TaskError("cancelled", "Cancelled before it began.")


class VideoConflictError(PermanentError):
    """The id of an announced video stands for another object or gallery, or for a video that was deleted."""


@dataclass(frozen=True)
class Registered:
    """A video and one task on it, and whether this call made the task."""

    video: VideoRecord
    task: TaskRecord
    created: bool


async def register(
    store: Store,
    uploaded: VideoUploaded,
    now: datetime,
    *,
    announce: bool = False,
    instead_of: StoredObject | None = None,
    keep: Keep | None = None,
) -> Registered:
    """Make the video and the task that `uploaded` speaks of, unless they are there.

    With `announce`, the event goes into the outbox in the same transaction; a video that was deleted begins again with
    its next epoch. `instead_of`: with this task the video gets the event's object in the place of that one. `keep`: the
    object was uploaded for this video; called where it becomes its object.
    VideoConflictError if the video's id stands for something else already, or was deleted; GalleryGoingError if its
    gallery is being deleted.
    """
    # First: what is announced again of a video that was deleted must not begin its gallery anew.
    if (deleted := await store.deleted.get(uploaded.video_id)) is not None:
        uploaded = _after_deletion(uploaded, deleted.latest_epoch, announce)
    await ensure_gallery(store, uploaded.gallery, now)
    this_task = task_id(uploaded.video_id, uploaded.epoch)
    video, task = await store.videos.get(uploaded.video_id), await store.tasks.get(this_task)
    if video is not None and task is not None:
        _ensure_same(video, uploaded)
        return Registered(video, task, created=False)
    registered = await store.transaction(
        lambda transaction: _register_in(transaction, uploaded, now, announce, instead_of, keep)
    )
    # Its gallery may have been deleted beside us. Each looks again; the later one sees both.
    if registered.created:
        await begin_anew(store, uploaded.gallery, now)
    # A cancel that committed beside us saw no task, and we saw no cancel. Each looks again; the later one sees both.
    if registered.created and await is_cancelled(store, uploaded.video_id, uploaded.epoch):
        await finish_cancelled(store, uploaded.video_id, uploaded.epoch, now)
        return Registered(registered.video, await store.tasks.get(this_task) or registered.task, created=True)
    return registered


async def _register_in(
    transaction: Store,
    uploaded: VideoUploaded,
    now: datetime,
    announce: bool,
    instead_of: StoredObject | None,
    keep: Keep | None,
) -> Registered:
    video = await transaction.videos.get(uploaded.video_id)
    placed = video is None or (video.object == instead_of and video.latest_epoch < uploaded.epoch)
    if video is None:
        video = _new_video(uploaded, now, keep is not None)
        await transaction.videos.insert(video)
    elif placed:
        restored = set_to(VideoRecord.object, uploaded.object) & set_to(VideoRecord.uploaded, keep is not None)
        video = await transaction.videos.update(with_id(video.id), restored) or video
    if keep is not None and placed:
        await keep(transaction)
    _ensure_same(video, uploaded)
    task = await transaction.tasks.get(task_id(uploaded.video_id, uploaded.epoch))
    if task is not None:
        return Registered(video, task, created=False)
    cancelled = await is_cancelled(transaction, uploaded.video_id, uploaded.epoch)
    task = _new_task(uploaded, video.name, now, cancelled)
    if cancelled:
        await outbox.add(transaction, finished_event(task, CANCELLED, task.error, now), now)
    await transaction.tasks.insert(task)
    if uploaded.epoch >= video.latest_epoch:
        latest = set_to(VideoRecord.latest_epoch, uploaded.epoch) & set_to(VideoRecord.latest_task_id, task.id)
        video = await transaction.videos.update(with_id(video.id), latest) or video
    if announce:
        await outbox.add(transaction, uploaded, now)
    return Registered(video, task, created=True)


def _after_deletion(uploaded: VideoUploaded, last: int, announce: bool) -> VideoUploaded:
    if uploaded.epoch > last:
        return uploaded
    if not announce:
        raise VideoConflictError(
            f"video {uploaded.video_id} was deleted; to have it again, announce it with epoch {last + 1}"
        )
    if last == WHOLE:
        raise VideoConflictError(f"video {uploaded.video_id} was deleted, and there is no epoch after {last}")
    again = {"epoch": last + 1, "event_id": event_id("VideoUploaded", uploaded.video_id, last + 1)}
    return uploaded.model_copy(update=again)


def announcement(video: VideoRecord, epoch: int, now: datetime) -> VideoUploaded:
    """The event that announces a run over a stored video; the same one however often it is made."""
    return VideoUploaded(
        event_id=event_id("VideoUploaded", video.id, epoch),
        occurred_at=now,
        video_id=video.id,
        epoch=epoch,
        gallery=video.gallery,
        object=video.object,
        name=video.name,
        bytes=video.bytes,
        sha256=video.sha256,
        recorded_at=video.recorded_at,
        external_id=video.external_id,
        identify=video.identify,
    )


def _ensure_same(video: VideoRecord, uploaded: VideoUploaded) -> None:
    if (video.object.bucket, video.object.key) != (uploaded.object.bucket, uploaded.object.key):
        raise VideoConflictError(f"video {uploaded.video_id} is another object already")
    if video.gallery != uploaded.gallery:
        raise VideoConflictError(f"video {uploaded.video_id} is in gallery {video.gallery} already")


def _new_video(uploaded: VideoUploaded, now: datetime, by_ingest: bool) -> VideoRecord:
    return VideoRecord(
        id=uploaded.video_id,
        gallery=uploaded.gallery,
        name=uploaded.shown_name,
        bytes=uploaded.bytes,
        sha256=uploaded.sha256,
        object=uploaded.object,
        recorded_at=uploaded.recorded_at,
        external_id=uploaded.external_id,
        identify=uploaded.identify,
        created_at=now,
        latest_epoch=uploaded.epoch,
        latest_task_id=task_id(uploaded.video_id, uploaded.epoch),
        uploaded=by_ingest,
    )


def _new_task(uploaded: VideoUploaded, name: str, now: datetime, cancelled: bool) -> TaskRecord:
    return TaskRecord(
        id=task_id(uploaded.video_id, uploaded.epoch),
        video_id=uploaded.video_id,
        video_name=name,
        gallery=uploaded.gallery,
        epoch=uploaded.epoch,
        status=CANCELLED if cancelled else QUEUED,
        error=_BEFORE_IT_BEGAN if cancelled else None,
        created_at=now,
        updated_at=now,
        finished_at=now if cancelled else None,
    )
