"""What lies in MongoDB: every collection with its indexes, declared in one place.

| collection | `_id` | what |
| --- | --- | --- |
| videos | video | name, object, media facts, `latest_epoch`, `latest_task_id` |
| tasks | task | one run over a video, with the settings of its plan; `status` never leaves a final state |
| uploads | object key | objects being written, so that what a crash left can be found |
| outbox | event | events to publish, written in the transaction that makes them true |
| controls | event | which epoch a cancel without one meant, resolved once |
| cancels | video:epoch | cancelled, whatever comes later |
| plans | video:epoch | chunk boundaries, ETag, settings; the first one wins |
| chunks | video:epoch:chunk(:part) | results received; a video is complete when the planned set is there |
| attempts | video:epoch:chunk or :plan | strikes, and owners that vanished |
| pending | video:epoch, or of a command or re-clustering | what waits for a gallery: until then it is not settled |
| ledger | gallery:video:epoch | was committed |
| galleries | gallery | `version` (compare-and-swap), settings, `distance` that its persons join up to |
| persons | video:epoch:n | video persons, with the profile they belong to |
| profiles | profile | name, founder |
| appearances | profile:video | segments, crop |
| redirects | profile | a retired id, and the video person that founded it |
| suggestions | profile:profile | pairs that may be one person |
| deleted | video | the last epoch of a deleted video: its id may come again, its epochs may not |
| migrations | number | done steps |
| owners | member id | nonce of the process that runs under a static Kafka member id |
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from castlist.contract.topics import GALLERY_COMMITS

VIDEOS = "videos"
TASKS = "tasks"
UPLOADS = "uploads"
OUTBOX = "outbox"
CONTROLS = "controls"
CANCELS = "cancels"
PLANS = "plans"
CHUNKS = "chunks"
ATTEMPTS = "attempts"
PENDING = "pending"
LEDGER = "ledger"
GALLERIES = "galleries"
PERSONS = "persons"
PROFILES = "profiles"
APPEARANCES = "appearances"
REDIRECTS = "redirects"
SUGGESTIONS = "suggestions"
DELETED = "deleted"
MIGRATIONS = "migrations"
OWNERS = "owners"
KAFKA_OWNER = "kafka"
"""The document of `owners` that counts topics created: some of them anew means that Kafka has lost its data."""

COLLECTIONS = (
    VIDEOS,
    TASKS,
    UPLOADS,
    OUTBOX,
    CONTROLS,
    CANCELS,
    PLANS,
    CHUNKS,
    ATTEMPTS,
    PENDING,
    LEDGER,
    GALLERIES,
    PERSONS,
    PROFILES,
    APPEARANCES,
    REDIRECTS,
    SUGGESTIONS,
    DELETED,
    MIGRATIONS,
    OWNERS,
)

_WEEK = 7 * 24 * 3600


@dataclass(frozen=True)
class Index:
    """One index; `options` as MongoDB takes them."""

    collection: str
    keys: tuple[tuple[str, int], ...]
    options: dict[str, Any] = field(default_factory=dict)


INDEXES = (
    Index(VIDEOS, (("gallery", 1), ("created_at", 1), ("_id", 1))),
    Index(VIDEOS, (("gallery", 1), ("sha256", 1)), {"partialFilterExpression": {"sha256": {"$type": "string"}}}),
    Index(
        VIDEOS, (("gallery", 1), ("external_id", 1)), {"partialFilterExpression": {"external_id": {"$type": "string"}}}
    ),
    Index(VIDEOS, (("created_at", 1), ("_id", 1))),
    Index(TASKS, (("created_at", 1), ("_id", 1))),
    Index(TASKS, (("gallery", 1), ("created_at", 1), ("_id", 1))),
    Index(TASKS, (("video_id", 1), ("epoch", 1)), {"unique": True}),
    Index(TASKS, (("status", 1), ("updated_at", 1))),
    Index(TASKS, (("gallery", 1), ("status", 1), ("created_at", 1), ("_id", 1))),
    Index(OUTBOX, (("published_at", 1), ("created_at", 1))),
    Index(
        OUTBOX,
        (("published_at", 1),),
        {"expireAfterSeconds": _WEEK, "name": "published_ttl"},
    ),
    Index(OUTBOX, (("key", 1),), {"name": "commands", "partialFilterExpression": {"topic": GALLERY_COMMITS.name}}),
    Index(CHUNKS, (("attempt", 1),)),
    Index(PENDING, (("gallery", 1), ("_id", 1))),
    Index(PERSONS, (("gallery", 1), ("_id", 1))),
    Index(PERSONS, (("video_id", 1),)),
    Index(PERSONS, (("profile_id", 1),)),
    Index(PROFILES, (("created_at", 1), ("_id", 1))),
    Index(PROFILES, (("gallery", 1), ("created_at", 1), ("_id", 1))),
    Index(PROFILES, (("gallery", 1), ("name", 1), ("_id", 1))),
    Index(APPEARANCES, (("profile_id", 1), ("created_at", -1), ("_id", -1))),
    Index(APPEARANCES, (("video_id", 1), ("profile_id", 1))),
    Index(APPEARANCES, (("gallery", 1),)),
    Index(SUGGESTIONS, (("gallery", 1), ("distance", 1))),
)


class Database(Protocol):
    """What of MongoDB is needed to prepare it."""

    async def create_collections(self, names: Sequence[str]) -> None: ...

    async def create_index(self, collection: str, keys: Sequence[tuple[str, int]], **options: Any) -> None: ...


async def create(database: Database) -> None:
    """Create the collections and indexes that are missing."""
    await database.create_collections(COLLECTIONS)
    for index in INDEXES:
        await database.create_index(index.collection, index.keys, **index.options)
