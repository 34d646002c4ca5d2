"""Every collection of MongoDB, declared once: its record, who writes and reads it, its indexes, how long it is kept.

The services talk to each other through these as much as through topics; docs/data-flow.md draws both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from castlist.store import alert_records as a
from castlist.store import records as r
from castlist.store.query import Sort, ascending, descending, name_of

R = TypeVar("R", bound=r.Record)

_DAY = 24 * 3600
REPLAYED_DAYS = 90
_REPLAYED = REPLAYED_DAYS * _DAY
"""As long as a message can come again: topics that are read here keep theirs for 30 days, dead letters for 90."""
INGEST, WORKERS, AGGREGATOR, QUERY, ADMIN = "ingest", "frame-workers", "profile-aggregator", "query-api", "admin"


@dataclass(frozen=True)
class Index:
    """One index; `options` as MongoDB takes them."""

    keys: tuple[Sort, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Collection(Generic[R]):
    """`owner` answers for what lies in it; `writers` write it as well, through `castlist.tasks` or the outbox.

    `id`: what its ids are. `kept`: how long a record stays. `growth`: what the number of records grows with.
    `kinds`: the types of its records, where there are several. `retired`: indexes of before, which are to go.
    """

    name: str
    record: type[R]
    id: str
    owner: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    kept: str
    growth: str
    indexes: tuple[Index, ...] = ()
    retired: tuple[Index, ...] = ()
    several: Any = None

    @property
    def kinds(self) -> Any:
        """What a document of it is read as."""
        return self.record if self.several is None else self.several


def _index(*keys: Any, **options: Any) -> Index:
    """On fields, upwards unless a key says otherwise."""
    return Index(tuple(key if isinstance(key, tuple) else ascending(key) for key in keys), options)


def _numbered(member: Any) -> dict[str, Any]:
    """An index of those records that have their number."""
    return {"partialFilterExpression": {name_of(member): {"$gte": 0}}}


def _texts_only(member: Any) -> dict[str, Any]:
    """An index of those records in which the field is text, and not null. (With `$type` no equality would use it.)"""
    return {"partialFilterExpression": {name_of(member): {"$gte": ""}}}


VIDEOS = Collection(
    name="videos",
    record=r.VideoRecord,
    id="video",
    owner=INGEST,
    writers=(WORKERS, AGGREGATOR),
    readers=(QUERY,),
    kept="until it is deleted",
    growth="videos",
    indexes=(
        _index(r.VideoRecord.gallery, r.VideoRecord.created_at, r.VideoRecord.id),
        _index(r.VideoRecord.gallery, r.VideoRecord.duration),
        _index(r.VideoRecord.gallery, r.VideoRecord.recorded_at, r.VideoRecord.created_at),
        _index(r.VideoRecord.sha256, r.VideoRecord.created_at, r.VideoRecord.id, **_texts_only(r.VideoRecord.sha256)),
        _index(
            r.VideoRecord.external_id,
            r.VideoRecord.created_at,
            r.VideoRecord.id,
            **_texts_only(r.VideoRecord.external_id),
        ),
        _index(r.VideoRecord.created_at, r.VideoRecord.id),
        _index((f"{name_of(r.VideoRecord.object)}.key", 1)),
    ),
)
TASKS = Collection(
    name="tasks",
    record=r.TaskRecord,
    id="task",
    owner=AGGREGATOR,
    writers=(INGEST, WORKERS),
    readers=(QUERY,),
    kept="as long as its video",
    growth="runs over videos",
    indexes=(
        _index(r.TaskRecord.created_at, r.TaskRecord.id),
        _index(r.TaskRecord.gallery, r.TaskRecord.created_at, r.TaskRecord.id),
        _index(r.TaskRecord.video_id, r.TaskRecord.epoch, unique=True),
        _index(r.TaskRecord.clear_after),
        _index(r.TaskRecord.status, r.TaskRecord.announce_after, r.TaskRecord.updated_at),
        _index(r.TaskRecord.status, r.TaskRecord.created_at, r.TaskRecord.id),
        _index(r.TaskRecord.gallery, r.TaskRecord.status, r.TaskRecord.created_at, r.TaskRecord.id),
    ),
)
UPLOADS = Collection(
    name="uploads",
    record=r.UploadRecord,
    id="object key",
    owner=INGEST,
    writers=(QUERY,),
    readers=(),
    kept="while the upload runs; swept 10 minutes after its last sign of life",
    growth="uploads under way",
)
CANCELS = Collection(
    name="cancels",
    record=r.CancelRecord,
    id="run",
    owner=AGGREGATOR,
    writers=(INGEST,),
    readers=(WORKERS,),
    kept="90 days",
    growth="runs cancelled in 90 days",
    indexes=(_index(r.CancelRecord.at, expireAfterSeconds=_REPLAYED),),
)
RESOLVED_CANCELS = Collection(
    name="resolved_cancels",
    record=r.ResolvedCancelRecord,
    id="video:event",
    owner=AGGREGATOR,
    writers=(WORKERS,),
    readers=(),
    kept="90 days",
    growth="cancels without an epoch of 90 days",
    indexes=(_index(r.ResolvedCancelRecord.at, expireAfterSeconds=_REPLAYED),),
)
DELETED = Collection(
    name="deleted",
    record=r.DeletedVideoRecord,
    id="video",
    owner=AGGREGATOR,
    writers=(),
    readers=(INGEST, WORKERS),
    kept="for ever: its epochs must not come again",
    growth="deleted videos",
)
PLANS = Collection(
    name="plans",
    record=r.PlanRecord,
    id="run",
    owner=WORKERS,
    writers=(AGGREGATOR,),
    readers=(),
    kept="until a minute after its task has ended, 90 days if it came later",
    growth="runs under way",
    indexes=(_index(r.PlanRecord.created_at, expireAfterSeconds=_REPLAYED),),
)
CHUNKS = Collection(
    name="chunks",
    record=r.ChunkResultRecord,
    id="run:chunk:digest:part",
    owner=AGGREGATOR,
    writers=(),
    readers=(WORKERS,),
    kept="until a minute after its task has ended, 90 days if there is none",
    growth="seconds of video under way",
    indexes=(
        _index(r.ChunkResultRecord.at, expireAfterSeconds=_REPLAYED),
        # All that is asked at every result: answered without reading one.
        _index(
            r.ChunkResultRecord.run,
            r.ChunkResultRecord.chunk,
            r.ChunkResultRecord.part,
            r.ChunkResultRecord.parts,
            r.ChunkResultRecord.tracks,
            r.ChunkResultRecord.bytes,
            r.ChunkResultRecord.id,
        ),
    ),
)
ATTEMPTS = Collection(
    name="attempts",
    record=r.AttemptsRecord,
    id="run:chunk or run:plan",
    owner=WORKERS,
    writers=(AGGREGATOR,),
    readers=(),
    kept="until the job's result is stored, or a minute after its task has ended, 90 days if there is none",
    growth="jobs under way",
    indexes=(_index(r.AttemptsRecord.begun_at, expireAfterSeconds=_REPLAYED),),
)
GALLERIES = Collection(
    name="galleries",
    record=r.GalleryRecord,
    id="gallery",
    owner=AGGREGATOR,
    writers=(INGEST, WORKERS, ADMIN),
    readers=(QUERY,),
    kept="for ever",
    growth="galleries",
    indexes=(
        _index(r.GalleryRecord.suggestions_due, partialFilterExpression={"suggestions_due": True}),
        _index(r.GalleryRecord.deleted_at, r.GalleryRecord.deletion, r.GalleryRecord.id),
    ),
)
PERSONS = Collection(
    name="persons",
    record=r.PersonRecord,
    id="run:n",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="from when it is found, as long as its video, or until a newer run replaces it",
    growth="people in videos",
    indexes=(
        _index(r.PersonRecord.gallery, r.PersonRecord.id),
        _index(r.PersonRecord.video_id),
        _index(r.PersonRecord.profile_id),
    ),
)
PLACES = Collection(
    name="places",
    record=r.PlacesRecord,
    id="run:n",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="as long as its person",
    growth="people in videos",
)
LEFT_OUT = Collection(
    name="left_out",
    record=r.LeftOutRecord,
    id="run",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="from when a run's people are found, as long as its video, or until a newer run replaces it",
    growth="videos",
)
TRACKS = Collection(
    name="tracks",
    record=r.TracksRecord,
    id="run:part",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="from when a run's people are found, as long as its video, or until a newer run replaces it",
    growth="seconds that people are on screen",
)
PROFILES = Collection(
    name="profiles",
    record=r.ProfileRecord,
    id="profile",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="while a person is in it",
    growth="people",
    indexes=(
        # Each order of `GET /profiles`, of all people and of a gallery's.
        *(
            _index(*of, r.ProfileRecord.hidden, order, r.ProfileRecord.id)
            for order in (
                r.ProfileRecord.created_at,
                r.ProfileRecord.folded_name,
                r.ProfileRecord.last_seen,
                r.ProfileRecord.video_count,
                r.ProfileRecord.milliseconds,
            )
            for of in ((), (r.ProfileRecord.gallery,))
        ),
        _index(
            r.ProfileRecord.gallery,
            r.ProfileRecord.tags,
            r.ProfileRecord.hidden,
            r.ProfileRecord.created_at,
            r.ProfileRecord.id,
        ),
        _index(
            r.ProfileRecord.gallery,
            r.ProfileRecord.hidden,
            r.ProfileRecord.created_at,
            r.ProfileRecord.id,
            partialFilterExpression={name_of(r.ProfileRecord.folded_name): None},
            name="unnamed",
        ),
    ),
    retired=(
        _index(r.ProfileRecord.created_at, r.ProfileRecord.id),
        _index(r.ProfileRecord.gallery, r.ProfileRecord.created_at, r.ProfileRecord.id),
        _index(r.ProfileRecord.name, r.ProfileRecord.id),
        _index(r.ProfileRecord.gallery, r.ProfileRecord.name, r.ProfileRecord.id),
    ),
)
APPEARANCES = Collection(
    name="appearances",
    record=r.AppearanceRecord,
    id="profile:video",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="as long as its profile and its video",
    growth="people in videos",
    indexes=(
        _index(
            r.AppearanceRecord.profile_id,
            descending(r.AppearanceRecord.created_at),
            descending(r.AppearanceRecord.id),
        ),
        _index(r.AppearanceRecord.profile_id, r.AppearanceRecord.video_at, r.AppearanceRecord.id),
        _index(r.AppearanceRecord.video_id, r.AppearanceRecord.profile_id),
        _index(r.AppearanceRecord.gallery),
    ),
)
REDIRECTS = Collection(
    name="redirects",
    record=r.RedirectRecord,
    id="retired profile",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="for ever: a retired id leads to who holds its people now",
    growth="profiles that were merged or emptied",
    indexes=(_index(r.RedirectRecord.gallery),),
)
SUGGESTIONS = Collection(
    name="suggestions",
    record=r.SuggestionRecord,
    id="what it is about",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="until the gallery is looked through again",
    growth="profiles",
    indexes=(
        _index(r.SuggestionRecord.gallery, r.SuggestionRecord.kind, r.SuggestionRecord.distance),
        _index(r.SuggestionRecord.profiles),
    ),
)
PENDING = Collection(
    name="pending",
    record=r.PendingRecord,
    id="run, or command:event, or recluster::gallery",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="until it is committed",
    growth="what waits for galleries",
    indexes=(
        _index(r.PendingRecord.gallery, r.PendingRecord.created_at, r.PendingRecord.id),
        # For whom something waits is answered without reading it.
        _index(r.PendingRecord.created_at, r.PendingRecord.gallery, ("kind", 1)),
    ),
    several=r.PendingVideo | r.PendingCommand | r.PendingRecluster,
)
PREVIEWS = Collection(
    name="previews",
    record=r.PreviewRecord,
    id="change",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="until it is worked out",
    growth="previews of settings under way",
)
CHANGES = Collection(
    name="changes",
    record=r.ChangeRecord,
    id="event",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="for ever: who decided what, and when",
    growth="what people do by hand",
    indexes=(_index(r.ChangeRecord.gallery, descending(r.ChangeRecord.at), descending(r.ChangeRecord.id)),),
)
DECISIONS = Collection(
    name="decisions",
    record=r.DecisionRecord,
    id="change",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="for ever: no machine takes back what a person decided",
    growth="what people do by hand",
    indexes=(_index(r.DecisionRecord.gallery),),
)
OBJECTIONS = Collection(
    name="objections",
    record=r.ObjectionRecord,
    id="change",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="until they are withdrawn, or the gallery goes",
    growth="people who object",
    indexes=(_index(r.ObjectionRecord.gallery, descending(r.ObjectionRecord.at), descending(r.ObjectionRecord.id)),),
)
LEDGER = Collection(
    name="ledger",
    record=r.LedgerRecord,
    id="gallery:run, or gallery:command:event",
    owner=AGGREGATOR,
    writers=(),
    readers=(),
    kept="90 days",
    growth="runs and commands of 90 days",
    indexes=(_index(r.LedgerRecord.at, expireAfterSeconds=_REPLAYED),),
)
OUTBOX = Collection(
    name="outbox",
    record=r.OutboxRecord,
    id="event",
    owner=AGGREGATOR,
    writers=(INGEST, QUERY),
    readers=(),
    kept="7 days after it was published",
    growth="events of a week",
    indexes=(
        _index(r.OutboxRecord.published_at, r.OutboxRecord.created_at),
        _index(r.OutboxRecord.published_at, expireAfterSeconds=7 * _DAY, name="published_ttl"),
        _index(
            r.OutboxRecord.topic,
            r.OutboxRecord.number,
            r.OutboxRecord.key,
            r.OutboxRecord.created_at,
            r.OutboxRecord.order,
        ),
        _index(r.OutboxRecord.topic, r.OutboxRecord.key, r.OutboxRecord.number, **_numbered(r.OutboxRecord.number)),
    ),
)
GALLERY_LOG = Collection(
    name="gallery_log",
    record=r.GalleryLogRecord,
    id="gallery:version:part",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="7 days after it was published",
    growth="commits of a week",
    indexes=(
        _index(
            r.GalleryLogRecord.published_at,
            r.GalleryLogRecord.gallery,
            r.GalleryLogRecord.version,
            r.GalleryLogRecord.part,
        ),
        _index(r.GalleryLogRecord.gallery, r.GalleryLogRecord.version, r.GalleryLogRecord.part),
        _index(r.GalleryLogRecord.published_at, expireAfterSeconds=7 * _DAY, name="published_ttl"),
        _index(
            r.GalleryLogRecord.number, r.GalleryLogRecord.gallery, r.GalleryLogRecord.version, r.GalleryLogRecord.part
        ),
        _index(r.GalleryLogRecord.gallery, r.GalleryLogRecord.number, **_numbered(r.GalleryLogRecord.number)),
    ),
)
FEEDS = Collection(
    name="feeds",
    record=a.FeedRecord,
    id="gallery",
    owner=QUERY,
    writers=(),
    readers=(),
    kept="for ever: numbers must not come again",
    growth="galleries",
)
WATCHES = Collection(
    name="watches",
    record=a.WatchRecord,
    id="watch",
    owner=QUERY,
    writers=(AGGREGATOR,),
    readers=(),
    kept="until it is taken away",
    growth="people whom somebody waits for",
    indexes=(
        _index(a.WatchRecord.gallery, a.WatchRecord.created_at, a.WatchRecord.id),
        _index(a.WatchRecord.profile_id, unique=True),
        _index(a.WatchRecord.due, partialFilterExpression={"due": True}),
    ),
)
ALERTS = Collection(
    name="alerts",
    record=a.AlertRecord,
    id="watch:video",
    owner=QUERY,
    writers=(AGGREGATOR,),
    readers=(),
    kept="as long as its watch and its video",
    growth="videos in which watched people are",
    indexes=(_index(a.AlertRecord.watch_id), _index(a.AlertRecord.video_id)),
)
WEBHOOKS = Collection(
    name="webhooks",
    record=a.WebhookRecord,
    id="webhook",
    owner=QUERY,
    writers=(AGGREGATOR,),
    readers=(),
    kept="until it is taken away",
    growth="receivers",
    indexes=(
        _index(a.WebhookRecord.gallery, a.WebhookRecord.created_at, a.WebhookRecord.id),
        _index(a.WebhookRecord.waiting, a.WebhookRecord.due_after, partialFilterExpression={"waiting": True}),
    ),
)
DELIVERIES = Collection(
    name="deliveries",
    record=a.DeliveryRecord,
    id="webhook:number:index",
    owner=QUERY,
    writers=(AGGREGATOR,),
    readers=(),
    kept="7 days after the last attempt",
    growth="what webhooks were told in a week",
    indexes=(
        _index(a.DeliveryRecord.webhook_id, descending(a.DeliveryRecord.at), descending(a.DeliveryRecord.id)),
        _index(
            a.DeliveryRecord.webhook_id,
            a.DeliveryRecord.status,
            descending(a.DeliveryRecord.at),
            descending(a.DeliveryRecord.id),
        ),
        _index(
            a.DeliveryRecord.webhook_id,
            a.DeliveryRecord.number,
            a.DeliveryRecord.index,
            partialFilterExpression={"status": "queued"},
            name="queued",
        ),
        _index(a.DeliveryRecord.at, expireAfterSeconds=7 * _DAY),
    ),
)
LEASES = Collection(
    name="leases",
    record=a.LeaseRecord,
    id="what it is for",
    owner=QUERY,
    writers=(),
    readers=(),
    kept="for ever",
    growth="one record",
)
REMOVALS = Collection(
    name="removals",
    record=r.RemovalRecord,
    id="last run:first epoch",
    owner=AGGREGATOR,
    writers=(),
    readers=(),
    kept="until it is carried out",
    growth="videos done again or deleted, while S3 is away",
)
ERASURES = Collection(
    name="erasures",
    record=r.ErasureRecord,
    id="gallery:version",
    owner=AGGREGATOR,
    writers=(),
    readers=(),
    kept="until it is carried out",
    growth="erasures, while S3 or Kafka is away",
)
MIGRATIONS = Collection(
    name="migrations",
    record=r.MigrationRecord,
    id="number",
    owner=ADMIN,
    writers=(),
    readers=(),
    kept="for ever",
    growth="versions",
)
INSTALLATION = Collection(
    name="installation",
    record=r.InstallationRecord,
    id="always `castlist`",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="for ever",
    growth="one record",
)
INSTANCES = Collection(
    name="instances",
    record=r.InstanceRecord,
    id="member id",
    owner=AGGREGATOR,
    writers=(),
    readers=(),
    kept="for ever",
    growth="aggregators",
)
TOPICS = Collection(
    name="topics",
    record=r.TopicsRecord,
    id="always `kafka`",
    owner=ADMIN,
    writers=(AGGREGATOR,),
    readers=(),
    kept="for ever",
    growth="one record",
)

COLLECTIONS: tuple[Collection[Any], ...] = (
    VIDEOS,
    TASKS,
    UPLOADS,
    CANCELS,
    RESOLVED_CANCELS,
    DELETED,
    PLANS,
    CHUNKS,
    ATTEMPTS,
    GALLERIES,
    PERSONS,
    PLACES,
    LEFT_OUT,
    TRACKS,
    PROFILES,
    APPEARANCES,
    REDIRECTS,
    SUGGESTIONS,
    PENDING,
    PREVIEWS,
    CHANGES,
    DECISIONS,
    OBJECTIONS,
    LEDGER,
    OUTBOX,
    GALLERY_LOG,
    FEEDS,
    WATCHES,
    ALERTS,
    WEBHOOKS,
    DELIVERIES,
    LEASES,
    REMOVALS,
    ERASURES,
    MIGRATIONS,
    INSTALLATION,
    INSTANCES,
    TOPICS,
)


class Database(Protocol):
    """What of MongoDB is needed to prepare it."""

    async def create_collections(self, names: Sequence[str]) -> None: ...

    async def create_index(self, collection: str, keys: Sequence[tuple[str, int]], **options: Any) -> None: ...

    async def drop_index(self, collection: str, keys: Sequence[tuple[str, int]]) -> None: ...


async def create(database: Database) -> None:
    """Create the collections and indexes that are missing; indexes of before go."""
    await database.create_collections([collection.name for collection in COLLECTIONS])
    for collection in COLLECTIONS:
        for index in collection.indexes:
            await database.create_index(collection.name, index.keys, **index.options)
        for index in collection.retired:
            await database.drop_index(collection.name, index.keys)
