"""What is to be said in Kafka: events, and what commits say."""

from datetime import datetime
from typing import Any

from castlist.store.query import name_of
from castlist.store.records.collection import AGGREGATOR, DAY, INGEST, QUERY, Collection, index
from castlist.store.records.record import Record


class OutboxRecord(Record, frozen=True, kw_only=True):
    """An event to publish, by its id, written in the transaction that makes it true. `order` sorts those of one."""

    topic: str
    key: str
    value: str
    created_at: datetime
    order: int
    published_at: datetime | None = None
    number: int | None = None
    """of what is said of a gallery: its place in the gallery's feed, once it has one"""


class GalleryLogRecord(Record, frozen=True, kw_only=True):
    """What a commit says on `profile.events`: the events as JSON, in their order, in as many parts as it takes."""

    gallery: str
    version: int
    part: int
    events: tuple[str, ...]
    at: datetime
    published_at: datetime | None = None
    number: int | None = None
    """its place in the gallery's feed, once it has one"""


class LoggedGallery(Record, frozen=True, kw_only=True):
    """Of a gallery's log: whose it is."""

    gallery: str


def _numbered(member: Any) -> dict[str, Any]:
    """An index of those records that have their number."""
    return {"partialFilterExpression": {name_of(member): {"$gte": 0}}}


OUTBOX = Collection(
    name="outbox",
    record=OutboxRecord,
    id="event",
    owner=AGGREGATOR,
    writers=(INGEST, QUERY),
    readers=(),
    kept="7 days after it was published",
    growth="events of a week",
    indexes=(
        index(OutboxRecord.published_at, OutboxRecord.created_at),
        index(OutboxRecord.published_at, expireAfterSeconds=7 * DAY, name="published_ttl"),
        index(
            OutboxRecord.topic,
            OutboxRecord.number,
            OutboxRecord.key,
            OutboxRecord.created_at,
            OutboxRecord.order,
        ),
        index(OutboxRecord.topic, OutboxRecord.key, OutboxRecord.number, **_numbered(OutboxRecord.number)),
    ),
)
GALLERY_LOG = Collection(
    name="gallery_log",
    record=GalleryLogRecord,
    id="gallery:version:part",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="7 days after it was published",
    growth="commits of a week",
    indexes=(
        index(
            GalleryLogRecord.published_at,
            GalleryLogRecord.gallery,
            GalleryLogRecord.version,
            GalleryLogRecord.part,
        ),
        index(GalleryLogRecord.gallery, GalleryLogRecord.version, GalleryLogRecord.part),
        index(GalleryLogRecord.published_at, expireAfterSeconds=7 * DAY, name="published_ttl"),
        index(GalleryLogRecord.number, GalleryLogRecord.gallery, GalleryLogRecord.version, GalleryLogRecord.part),
        index(GalleryLogRecord.gallery, GalleryLogRecord.number, **_numbered(GalleryLogRecord.number)),
    ),
)
