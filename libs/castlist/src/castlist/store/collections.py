"""Every collection of MongoDB. Each is declared beside its records (`castlist.store.records`).

The services talk to each other through these as much as through topics; docs/data-flow.md draws both.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from castlist.store.records.alerts import ALERTS, DELIVERIES, FEEDS, LEASES, WATCHES, WEBHOOKS
from castlist.store.records.appearances import APPEARANCES
from castlist.store.records.change_history import CHANGES, DECISIONS, OBJECTIONS
from castlist.store.records.collection import Collection
from castlist.store.records.erasures import ERASURES, REMOVALS
from castlist.store.records.galleries import GALLERIES, SUGGESTIONS
from castlist.store.records.installation import INSTALLATION, INSTANCES, MIGRATIONS, TOPICS
from castlist.store.records.outbox import GALLERY_LOG, OUTBOX
from castlist.store.records.pending import LEDGER, PENDING, PREVIEWS
from castlist.store.records.persons import LEFT_OUT, PERSONS, PLACES, TRACKS
from castlist.store.records.profiles import PROFILES, REDIRECTS
from castlist.store.records.runs import ATTEMPTS, CHUNKS, PLANS
from castlist.store.records.tasks import CANCELS, RESOLVED_CANCELS, TASKS
from castlist.store.records.videos import DELETED, UPLOADS, VIDEOS

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
