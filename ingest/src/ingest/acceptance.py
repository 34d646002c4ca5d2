"""Accepting a video: its records and its event in one transaction; the same video again is the same video."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from castlist.contract.bounds import WHOLE
from castlist.contract.commands import CancelVideo
from castlist.contract.events import VideoUploaded
from castlist.contract.ids import derived, event_id, task_id, uploaded_video_id
from castlist.contract.values import StoredObject
from castlist.ports.errors import UnavailableError
from castlist.ports.objects import ObjectInfo
from castlist.service.problems import Problem
from castlist.store import outbox
from castlist.store.records.tasks import TaskRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from castlist.tasks import cancels, lifecycle
from castlist.tasks.galleries import GalleryGoingError, ensure_gallery
from castlist.tasks.registration import Keep, VideoConflictError, announcement, register
from castlist.tasks.uploads import keep_upload
from ingest.upload_stream import Received
from ingest.video_details import Details

_LOST = ("object_missing", "object_changed", "object_not_allowed")
"""Error codes of a task that say that the video's object cannot be had."""


@dataclass(frozen=True)
class Accepted:
    """What stands now. `created`: this call made the task. `duplicate`: the video was there before."""

    video: VideoRecord
    task: TaskRecord
    created: bool
    duplicate: bool


class Acceptance:
    """Writes videos and tasks; every method may be repeated."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock

    async def uploaded(self, received: Received, bucket: str, details: Details) -> Accepted:
        """A video whose bytes have just come in. If its object is not that of the video it was a duplicate."""
        video_id = uploaded_video_id(details.gallery, received.sha256)
        stored = StoredObject(bucket=bucket, key=received.object.key, etag=received.object.etag)
        return await self._accept(video_id, stored, received.object.bytes, details, received)

    async def announced(self, bucket: str, info: ObjectInfo, details: Details, video_id: str | None) -> Accepted:
        """A video that is in S3 already."""
        chosen = video_id or derived("object", details.gallery, bucket, info.key, info.etag)
        stored = StoredObject(bucket=bucket, key=info.key, etag=info.etag)
        return await self._accept(chosen, stored, info.bytes, details)

    async def _accept(
        self, video_id: str, stored: StoredObject, size: int, details: Details, received: Received | None = None
    ) -> Accepted:
        sha256 = received.sha256 if received else None
        keep = partial(keep_upload, key=stored.key) if received else None
        if (video := await self._store.videos.get(video_id)) is None:
            uploaded = VideoUploaded(
                event_id=event_id("VideoUploaded", video_id, 1),
                occurred_at=self._clock(),
                video_id=video_id,
                gallery=details.gallery,
                object=stored,
                name=details.name,
                bytes=size,
                sha256=sha256,
                recorded_at=details.recorded_at,
                external_id=details.external_id,
                identify=details.identify,
            )
            try:
                made = await register(self._store, uploaded, self._clock(), announce=True, keep=keep)
            except GalleryGoingError as going:
                raise Problem(409, f"{going}.") from None
            except VideoConflictError as conflict:
                video = await self._store.videos.get(video_id)  # another upload of the same bytes was first
                if video is None:
                    raise Problem(409, f"{conflict}.") from None
            else:
                return Accepted(made.video, made.task, made.created, duplicate=not made.created)
        if video.gallery != details.gallery or (sha256 is None and not _is(video.object, stored)):
            raise Problem(409, f"Video {video_id} is another object or in another gallery already.")
        await self._ensure_open(details.gallery)
        latest = await self._latest(video)
        if latest.status in lifecycle.OPEN or (latest.status == lifecycle.DONE and not details.again):
            return Accepted(video, latest, created=False, duplicate=True)
        if sha256 is not None and latest.error is not None and latest.error.code in _LOST:
            try:
                return await self._next(replace(video, object=stored), latest.epoch + 1, video.object, keep)
            except VideoConflictError as error:  # another upload of the same bytes was first
                raise UnavailableError(str(error)) from None
        return await self._next(video, latest.epoch + 1)

    async def _ensure_open(self, gallery: str) -> None:
        """Problem 409 where the gallery, with this video, is being deleted."""
        try:
            await ensure_gallery(self._store, gallery, self._clock())
        except GalleryGoingError as going:
            raise Problem(409, f"{going}.") from None

    async def _latest(self, video: VideoRecord) -> TaskRecord:
        task = await self._store.tasks.get(video.latest_task_id)
        assert task is not None, f"video {video.id} has no task"
        return task

    async def _next(
        self, video: VideoRecord, epoch: int, instead_of: StoredObject | None = None, keep: Keep | None = None
    ) -> Accepted:
        if epoch > WHOLE:
            raise Problem(409, f"There is no epoch after {WHOLE}, which this video has reached.")
        now = self._clock()
        event = announcement(video, epoch, now)
        try:
            made = await register(self._store, event, now, announce=True, instead_of=instead_of, keep=keep)
        except GalleryGoingError as going:
            raise Problem(409, f"{going}.") from None
        return Accepted(made.video, made.task, made.created, duplicate=True)

    async def retry(self, task: TaskRecord) -> Accepted:
        """A new task after one that failed or was cancelled; the same one when repeated. Problem 409 otherwise."""
        video = await self._store.videos.get(task.video_id)
        if video is None:
            raise Problem(404, f"There is no video {task.video_id}.")
        latest = await self._latest(video)
        if latest.status in lifecycle.OPEN:
            return Accepted(video, latest, created=False, duplicate=True)
        if task.status not in (lifecycle.FAILED, lifecycle.CANCELLED):
            raise Problem(409, f"The task is {task.status}; only one that failed or was cancelled is retried.")
        following = await self._store.tasks.get(task_id(task.video_id, task.epoch + 1))
        if following is not None:
            return Accepted(video, following, created=False, duplicate=True)
        return await self._next(video, task.epoch + 1)

    async def cancel(self, task: TaskRecord) -> TaskRecord:
        """End the task here and now, and have every process told. Problem 409 if it ended otherwise before."""
        now = self._clock()
        if task.status in lifecycle.OPEN:
            event = CancelVideo(
                event_id=event_id("CancelVideo", task.video_id, task.epoch),
                occurred_at=now,
                video_id=task.video_id,
                epoch=task.epoch,
            )
            await outbox.add(self._store, event, now)
            await cancels.cancel(self._store, task.video_id, task.epoch, now)
            task = await self._store.tasks.get(task.id) or task
        if task.status != lifecycle.CANCELLED:
            raise Problem(409, f"The task is {task.status} already.")
        return task


def _is(known: StoredObject, stored: StoredObject) -> bool:
    """Whether an announced object is the one that a video has; who announced it may not have said its etag."""
    same_place = (known.bucket, known.key) == (stored.bucket, stored.key)
    return same_place and known.etag in (None, stored.etag)
