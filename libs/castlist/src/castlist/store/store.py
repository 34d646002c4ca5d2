"""Reading and writing records: `Store` has a table for each collection, on a connection or inside a transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Generic, TypeVar

import msgspec

from castlist.ports.documents import Document, Documents
from castlist.ports.errors import DocumentTooLargeError
from castlist.store.query import ANY, Change, Sort, Where, name_of, plain, with_id
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
from castlist.store.records.record import Record
from castlist.store.records.runs import ATTEMPTS, CHUNKS, PLANS
from castlist.store.records.tasks import CANCELS, RESOLVED_CANCELS, TASKS
from castlist.store.records.videos import DELETED, UPLOADS, VIDEOS

R = TypeVar("R", bound=Record)
V = TypeVar("V", bound=Record)
T = TypeVar("T")


class Table(Generic[R]):
    """One collection, in records.

    What `Documents` says of its methods holds: each write is majority-journaled when it returns. msgspec's
    ValidationError for a document that is no such record; a DocumentTooLargeError names the record.
    """

    def __init__(self, documents: Documents, collection: Collection[R]) -> None:
        self._documents, self._name, self._kinds = documents, collection.name, collection.kinds

    def _record(self, document: Document) -> R:
        record: R = msgspec.convert(document, self._kinds)
        return record

    @contextmanager
    def _naming(self, what: object) -> Iterator[None]:
        try:
            yield
        except DocumentTooLargeError as error:
            raise DocumentTooLargeError(f"{self._name} {str(what)[:200]}: {error}") from error

    async def get(self, id: str) -> R | None:
        """The record with this id."""
        found = await self._documents.get(self._name, id)
        return None if found is None else self._record(found)

    async def find(self, where: Where = ANY, *, sort: Sequence[Sort] = (), limit: int = 0) -> list[R]:
        """Whole records; `limit` 0 is all."""
        found = await self._documents.find(self._name, where.filter, sort=sort, limit=limit)
        return [self._record(one) for one in found]

    async def find_parts(
        self, part: type[V], where: Where = ANY, *, sort: Sequence[Sort] = (), limit: int = 0
    ) -> list[V]:
        """Of each record no more than `part` names; only that is read."""
        fields = [name for name in part.__struct_encode_fields__ if name != "_id"]
        found = await self._documents.find(self._name, where.filter, sort=sort, limit=limit, fields=fields)
        return [msgspec.convert(one, part) for one in found]

    async def ids(self, where: Where = ANY, *, limit: int = 0) -> list[str]:
        """The ids of the matching records; `limit` 0 is all."""
        found = await self._documents.find(self._name, where.filter, limit=limit, fields=["_id"])
        return [str(one["_id"]) for one in found]

    async def count(self, where: Where = ANY) -> int:
        """How many match."""
        return await self._documents.count(self._name, where.filter)

    async def count_by(self, where: Where, member: Any) -> dict[Any, int]:
        """How many match for each value of a field; values that none has are left out."""
        return await self._documents.count_by(self._name, where.filter, name_of(member))

    async def sum_of(self, where: Where, member: Any) -> float:
        """What the numbers in a field of those that match add up to; None adds nothing."""
        return await self._documents.sum_of(self._name, where.filter, name_of(member))

    async def insert(self, record: R) -> None:
        """AlreadyExistsError if its id, or another unique key, is taken."""
        with self._naming(record.id):
            await self._documents.insert(self._name, plain(record))

    async def insert_many(self, records: Iterable[R]) -> None:
        """All or AlreadyExistsError (outside a transaction, those before the offending one stay)."""
        documents = [plain(record) for record in records]
        with self._naming([one["_id"] for one in documents]):
            await self._documents.insert_many(self._name, documents)

    async def update(self, where: Where, change: Change, *, upsert: bool = False) -> R | None:
        """Change one matching record and return it as it is afterwards; None if there is none."""
        with self._naming(where.filter.get("_id", where.filter)):
            found = await self._documents.update(self._name, where.filter, change.update, upsert=upsert)
        return None if found is None else self._record(found)

    async def upsert(self, id: str, change: Change) -> R:
        """Change the record with this id, or begin it with the change."""
        found = await self.update(with_id(id), change, upsert=True)
        assert found is not None
        return found

    async def update_many(self, where: Where, change: Change) -> int:
        """Change all that match; how many there were."""
        with self._naming(where.filter.get("_id", where.filter)):
            return await self._documents.update_many(self._name, where.filter, change.update)

    async def update_each(self, changes: Mapping[str, Change]) -> None:
        """A change for each id, in one call; those that are not there are passed over."""
        with self._naming(list(changes)):
            await self._documents.update_each(self._name, {id: change.update for id, change in changes.items()})

    async def replace(self, record: R) -> None:
        """Put the record in the place of the one with its id, or insert it."""
        with self._naming(record.id):
            await self._documents.replace(self._name, plain(record))

    async def replace_many(self, records: Iterable[R]) -> None:
        """`replace` for several records."""
        documents = [plain(record) for record in records]
        with self._naming([one["_id"] for one in documents]):
            await self._documents.replace_many(self._name, documents)

    async def delete(self, where: Where) -> int:
        """Remove all that match; how many there were."""
        return await self._documents.delete(self._name, where.filter)

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """The ids of records that are written or removed while inside, as it happens."""
        return self._documents.changes(self._name)


class Store:
    """Every collection."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.videos = Table(documents, VIDEOS)
        self.tasks = Table(documents, TASKS)
        self.uploads = Table(documents, UPLOADS)
        self.cancels = Table(documents, CANCELS)
        self.resolved_cancels = Table(documents, RESOLVED_CANCELS)
        self.deleted = Table(documents, DELETED)
        self.plans = Table(documents, PLANS)
        self.chunks = Table(documents, CHUNKS)
        self.attempts = Table(documents, ATTEMPTS)
        self.galleries = Table(documents, GALLERIES)
        self.persons = Table(documents, PERSONS)
        self.places = Table(documents, PLACES)
        self.left_out = Table(documents, LEFT_OUT)
        self.tracks = Table(documents, TRACKS)
        self.profiles = Table(documents, PROFILES)
        self.appearances = Table(documents, APPEARANCES)
        self.redirects = Table(documents, REDIRECTS)
        self.suggestions = Table(documents, SUGGESTIONS)
        self.pending = Table(documents, PENDING)
        self.previews = Table(documents, PREVIEWS)
        self.changes = Table(documents, CHANGES)
        self.decisions = Table(documents, DECISIONS)
        self.objections = Table(documents, OBJECTIONS)
        self.ledger = Table(documents, LEDGER)
        self.outbox = Table(documents, OUTBOX)
        self.gallery_log = Table(documents, GALLERY_LOG)
        self.feeds = Table(documents, FEEDS)
        self.watches = Table(documents, WATCHES)
        self.alerts = Table(documents, ALERTS)
        self.webhooks = Table(documents, WEBHOOKS)
        self.deliveries = Table(documents, DELIVERIES)
        self.leases = Table(documents, LEASES)
        self.removals = Table(documents, REMOVALS)
        self.erasures = Table(documents, ERASURES)
        self.migrations = Table(documents, MIGRATIONS)
        self.installation = Table(documents, INSTALLATION)
        self.instances = Table(documents, INSTANCES)
        self.topics = Table(documents, TOPICS)

    async def transaction(self, body: Callable[["Store"], Awaitable[T]]) -> T:
        """Run `body` on a store whose writes happen together or not at all; see `Documents.transaction`."""
        return await self._documents.transaction(lambda documents: body(Store(documents)))

    async def ping(self) -> None:
        """UnavailableError if a majority write cannot be expected to work now."""
        await self._documents.ping()
