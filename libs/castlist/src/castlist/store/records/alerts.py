"""What lies in MongoDB for those who want to hear of a gallery: watches, webhooks, and the feed that both live from."""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from castlist.store.query import descending
from castlist.store.records.collection import AGGREGATOR, DAY, QUERY, Collection, index
from castlist.store.records.record import Record

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""In the place of a time: due now."""


class FeedRecord(Record, frozen=True, kw_only=True):
    """How far the feed of a gallery (its id) is numbered: all that was said up to `last` has its number."""

    last: int = 0


class Place(msgspec.Struct, frozen=True, order=True):
    """Where an event stands in its gallery's feed: in the so-manieth of what was said, as its so-manieth event; both
    count from 1. With index 0: before all that was said then."""

    number: int = 1
    index: int = 0


class WatchRecord(Record, frozen=True, kw_only=True):
    """Somebody wants to hear when a profile, or the one that holds its people now, is in a video.

    `holder`: that profile, as it was found last; None where nobody holds them. `touched` counts how often something was
    said of either, and it is `due` until all is told that follows from it.
    """

    gallery: str
    profile_id: str
    holder: str | None
    created_at: datetime
    touched: int = 0
    due: bool = True


class WatchedProfiles(Record, frozen=True, kw_only=True):
    """Of a watch: whom it is for, and who that is now."""

    profile_id: str
    holder: str | None


class AlertRecord(Record, frozen=True, kw_only=True):
    """That a watch's person is in a video was said (`watch:video`)."""

    watch_id: str
    video_id: str
    at: datetime


class AlertVideo(Record, frozen=True, kw_only=True):
    """Of an alert: in which video."""

    video_id: str


class WebhookRecord(Record, frozen=True, kw_only=True):
    """Who is told of a gallery, where, and how far that is.

    `events`: which, by their names; none: all. `passed`: the place in the feed up to which it was told. While `waiting`
    there may be more, to be sent from `due_after` on; `rung` counts how often there came to be. `failures` in a row,
    the first at `failing_since`. `digest`: of the request that made it. `disabled_at`: when the receiver said that it
    is gone.
    """

    gallery: str
    url: str
    secret: str
    events: tuple[str, ...] = ()
    created_at: datetime
    digest: str
    passed: Place = Place()
    rung: int = 0
    waiting: bool = False
    due_after: datetime = AT_ONCE
    failures: int = 0
    failing_since: datetime | None = None
    disabled_at: datetime | None = None


DeliveryStatus = Literal["queued", "retrying", "delivered", "dead"]


class DeliveryRecord(Record, frozen=True, kw_only=True):
    """What became of sending one event to one webhook (`webhook:number:index`).

    `retrying`: it failed, and is tried again before anything else is sent; `dead`: it was given up; `queued`: it is to
    be sent once more. `http_status`: of the last answer; `error`: why the last attempt failed. `attempts` are those
    since it was queued.
    """

    webhook_id: str
    number: int
    index: int
    event_id: str
    event: str
    status: DeliveryStatus
    attempts: int
    http_status: int | None
    error: str | None
    at: datetime


class LeaseRecord(Record, frozen=True, kw_only=True):
    """Which process does what only one may do at a time (the id), and a number that it raises while it lives."""

    owner: str
    beat: int


FEEDS = Collection(
    name="feeds",
    record=FeedRecord,
    id="gallery",
    owner=QUERY,
    writers=(),
    readers=(),
    kept="for ever: numbers must not come again",
    growth="galleries",
)
WATCHES = Collection(
    name="watches",
    record=WatchRecord,
    id="watch",
    owner=QUERY,
    writers=(AGGREGATOR,),
    readers=(),
    kept="until it is taken away",
    growth="people whom somebody waits for",
    indexes=(
        index(WatchRecord.gallery, WatchRecord.created_at, WatchRecord.id),
        index(WatchRecord.profile_id, unique=True),
        index(WatchRecord.due, partialFilterExpression={"due": True}),
    ),
)
ALERTS = Collection(
    name="alerts",
    record=AlertRecord,
    id="watch:video",
    owner=QUERY,
    writers=(AGGREGATOR,),
    readers=(),
    kept="as long as its watch and its video",
    growth="videos in which watched people are",
    indexes=(index(AlertRecord.watch_id), index(AlertRecord.video_id)),
)
WEBHOOKS = Collection(
    name="webhooks",
    record=WebhookRecord,
    id="webhook",
    owner=QUERY,
    writers=(AGGREGATOR,),
    readers=(),
    kept="until it is taken away",
    growth="receivers",
    indexes=(
        index(WebhookRecord.gallery, WebhookRecord.created_at, WebhookRecord.id),
        index(WebhookRecord.waiting, WebhookRecord.due_after, partialFilterExpression={"waiting": True}),
    ),
)
DELIVERIES = Collection(
    name="deliveries",
    record=DeliveryRecord,
    id="webhook:number:index",
    owner=QUERY,
    writers=(AGGREGATOR,),
    readers=(),
    kept="7 days after the last attempt",
    growth="what webhooks were told in a week",
    indexes=(
        index(DeliveryRecord.webhook_id, descending(DeliveryRecord.at), descending(DeliveryRecord.id)),
        index(
            DeliveryRecord.webhook_id,
            DeliveryRecord.status,
            descending(DeliveryRecord.at),
            descending(DeliveryRecord.id),
        ),
        index(
            DeliveryRecord.webhook_id,
            DeliveryRecord.number,
            DeliveryRecord.index,
            partialFilterExpression={"status": "queued"},
            name="queued",
        ),
        index(DeliveryRecord.at, expireAfterSeconds=7 * DAY),
    ),
)
LEASES = Collection(
    name="leases",
    record=LeaseRecord,
    id="what it is for",
    owner=QUERY,
    writers=(),
    readers=(),
    kept="for ever",
    growth="one record",
)
