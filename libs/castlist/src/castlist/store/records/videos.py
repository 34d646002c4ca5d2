"""A video, the upload that it came by, and its deletion."""

from datetime import datetime
from typing import Any

from castlist.contract.values import StoredObject
from castlist.store.query import name_of
from castlist.store.records.collection import AGGREGATOR, INGEST, QUERY, WORKERS, Collection, index
from castlist.store.records.record import Record


class VideoRecord(Record, frozen=True, kw_only=True):
    """A stored object in a gallery. The media facts are there once it was planned; sizes are of the upright frame."""

    gallery: str
    name: str
    bytes: int | None
    sha256: str | None
    object: StoredObject
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    recorded_at: datetime | None
    external_id: str | None
    created_at: datetime
    latest_epoch: int
    latest_task_id: str
    committed_epoch: int | None = None
    """the run whose people are in the gallery"""
    uploaded: bool | None = None
    """whether ingest wrote the object for this very video; None before that was noted: its id tells"""
    identify: bool = True
    """whether its people may be matched with those of other videos"""


class VideoName(Record, frozen=True, kw_only=True):
    """Of a video: what it is called."""

    name: str


class VideoMoment(Record, frozen=True, kw_only=True):
    """Of a video: its name, when it was recorded, as far as that is known, and when it came."""

    name: str
    recorded_at: datetime | None
    created_at: datetime

    @property
    def at(self) -> datetime:
        """The moment that stands for it in the lives of those who are in it."""
        return self.recorded_at or self.created_at


class VideoEpoch(Record, frozen=True, kw_only=True):
    """Of a video: its latest run."""

    latest_epoch: int


class CommittedEpoch(Record, frozen=True, kw_only=True):
    """Of a video: the run whose people are in the gallery."""

    committed_epoch: int | None = None


class UploadRecord(Record, frozen=True, kw_only=True):
    """An object being written, by its key, so that what a crash leaves can be found. The transaction that makes it a
    video's removes the record.

    `condemned`: the sweep is taking it away, and it cannot be accepted any more.
    """

    started_at: datetime
    touched_at: datetime
    condemned: bool = False


class UploadStart(Record, frozen=True, kw_only=True):
    """Of an upload: when it began."""

    started_at: datetime


class DeletedVideoRecord(Record, frozen=True, kw_only=True):
    """A video that was deleted: its id may come again, its epochs up to this one may not, and are not wanted."""

    latest_epoch: int
    at: datetime


def _texts_only(member: Any) -> dict[str, Any]:
    """An index of those records in which the field is text, and not null. (With `$type` no equality would use it.)"""
    return {"partialFilterExpression": {name_of(member): {"$gte": ""}}}


VIDEOS = Collection(
    name="videos",
    record=VideoRecord,
    id="video",
    owner=INGEST,
    writers=(WORKERS, AGGREGATOR),
    readers=(QUERY,),
    kept="until it is deleted",
    growth="videos",
    indexes=(
        index(VideoRecord.gallery, VideoRecord.created_at, VideoRecord.id),
        index(VideoRecord.gallery, VideoRecord.duration),
        index(VideoRecord.gallery, VideoRecord.recorded_at, VideoRecord.created_at),
        index(VideoRecord.sha256, VideoRecord.created_at, VideoRecord.id, **_texts_only(VideoRecord.sha256)),
        index(
            VideoRecord.external_id,
            VideoRecord.created_at,
            VideoRecord.id,
            **_texts_only(VideoRecord.external_id),
        ),
        index(VideoRecord.created_at, VideoRecord.id),
        index((f"{name_of(VideoRecord.object)}.key", 1)),
    ),
)
UPLOADS = Collection(
    name="uploads",
    record=UploadRecord,
    id="object key",
    owner=INGEST,
    writers=(QUERY,),
    readers=(),
    kept="while the upload runs; swept 10 minutes after its last sign of life",
    growth="uploads under way",
)
DELETED = Collection(
    name="deleted",
    record=DeletedVideoRecord,
    id="video",
    owner=AGGREGATOR,
    writers=(),
    readers=(INGEST, WORKERS),
    kept="for ever: its epochs must not come again",
    growth="deleted videos",
)
