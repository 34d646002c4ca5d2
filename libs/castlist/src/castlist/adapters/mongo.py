"""Documents in MongoDB, through motor.

The only module that knows motor: the swap to PyMongo's own asyncio API is this one file.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from bson.codec_options import CodecOptions
from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession, AsyncIOMotorDatabase
from pymongo import DeleteMany, InsertOne, ReadPreference, ReplaceOne, ReturnDocument, UpdateOne, WriteConcern
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern

from castlist.ports.documents import Change, Document, Documents, Where
from castlist.ports.errors import (
    AlreadyExistsError,
    DocumentTooLargeError,
    TooLargeError,
    TooLongError,
    UnavailableError,
)
from castlist.retry import pauses
from castlist.service.metrics import CONFLICTS

T = TypeVar("T")
_BATCH = 5_000
_MAJORITY = WriteConcern(w="majority", j=True, wtimeout=15_000)
# A server that steps down, shuts down or recovers answers with one of these; and one that does not let us in, or has no
# room left: that is nobody's document.
_TRANSIENT_CODES = {11600, 11602, 10107, 13435, 13436, 189, 91, 262, 50, 89, 6, 7, 9001, 13, 18, 14031}
_TRANSACTION_TOO_LARGE = 257
# The server has ended the transaction: the second says that its time was up, the first only that there is none.
_ENDED_CODES = {251, 290}
_DEFAULT_LIFETIME = 60.0
_DUPLICATE = 11000
_BAD_VALUE = 2
_TOO_LARGE = {10334, 17419, 17420}
_EXISTS = 48
_NO_INDEX = 27
_TRANSACTION_PATIENCE = 20.0

__all__ = ["MongoDocuments", "connect"]


class _Conflict(Exception):
    """The server undid the transaction because of another one: run the body again."""


def _codes(error: PyMongoError) -> set[int]:
    """What the server said of it."""
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        return {one.get("code", 0) for one in [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]}
    return {error.code} if isinstance(error, OperationFailure) and error.code is not None else set()


def _is_too_large(error: PyMongoError) -> bool:
    """What is to be inserted the server calls a bad value, what has grown by its own code."""
    codes = _codes(error)
    return (
        isinstance(error, DocumentTooLarge)
        or bool(codes & _TOO_LARGE)
        or (_BAD_VALUE in codes and "object to insert too large" in str(error))
    )


@contextlib.contextmanager
def _translated(in_transaction: bool) -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        if in_transaction and error.has_error_label("TransientTransactionError"):
            raise _Conflict(str(error)) from error
        if _is_too_large(error):
            raise DocumentTooLargeError(str(error)[:300]) from error
        if isinstance(error, DuplicateKeyError):
            raise AlreadyExistsError(str(error)) from error
        if isinstance(error, BulkWriteError):
            codes = _codes(error)
            if _DUPLICATE in codes:
                raise AlreadyExistsError(str(error)) from error
            if codes and codes <= _TRANSIENT_CODES:
                raise UnavailableError(f"MongoDB: {error}"[:500]) from error
        if isinstance(error, ConnectionFailure | WTimeoutError | ExecutionTimeout):
            raise UnavailableError(f"MongoDB: {error}"[:500]) from error
        if isinstance(error, OperationFailure) and error.code == _TRANSACTION_TOO_LARGE:
            raise TooLargeError(f"MongoDB: {error}"[:500]) from error
        if isinstance(error, OperationFailure) and error.code in _TRANSIENT_CODES:
            raise UnavailableError(f"MongoDB: {error}"[:500]) from error
        raise
    except BSONError as error:  # a value that it has no form for
        raise TypeError(str(error)) from error


class MongoDocuments(Documents):
    """`Documents` on one database of a replica set."""

    def __init__(self, database: AsyncIOMotorDatabase[Document], session: AsyncIOMotorClientSession | None = None):
        self.database = database
        self._session = session

    def _on(self, collection: str) -> Any:
        return self.database[collection]

    def _translated(self) -> contextlib.AbstractContextManager[None]:
        return _translated(self._session is not None)

    async def get(self, collection: str, id: str) -> Document | None:
        with self._translated():
            found: Document | None = await self._on(collection).find_one({"_id": id}, session=self._session)
            return found

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        fields: Sequence[str] = (),
    ) -> list[Document]:
        with self._translated():
            cursor = self._on(collection).find(where, list(fields) or None, session=self._session)
            if sort:
                cursor = cursor.sort(list(sort))
            # By default the first batch is 101 documents, and every list longer than that costs another round.
            found: list[Document] = await cursor.limit(limit).batch_size(_BATCH).to_list(None)
            return found

    async def count(self, collection: str, where: Where) -> int:
        with self._translated():
            return int(await self._on(collection).count_documents(where, session=self._session))

    async def count_by(self, collection: str, where: Where, field: str) -> dict[Any, int]:
        stages = [{"$match": where}, {"$group": {"_id": f"${field}", "count": {"$sum": 1}}}]
        with self._translated():
            found = await self._on(collection).aggregate(stages, session=self._session).to_list(None)
            return {one["_id"]: int(one["count"]) for one in found}

    async def sum_of(self, collection: str, where: Where, field: str) -> float:
        stages = [{"$match": where}, {"$group": {"_id": None, "sum": {"$sum": f"${field}"}}}]
        with self._translated():
            found = await self._on(collection).aggregate(stages, session=self._session).to_list(None)
            return float(found[0]["sum"]) if found else 0.0

    async def insert(self, collection: str, document: Document) -> None:
        with self._translated():
            await self._on(collection).insert_one(document, session=self._session)

    async def insert_many(self, collection: str, documents: Sequence[Document]) -> None:
        if documents:
            with self._translated():
                await self._on(collection).bulk_write([InsertOne(d) for d in documents], session=self._session)

    async def update(self, collection: str, where: Where, change: Change, *, upsert: bool = False) -> Document | None:
        with self._translated():
            found: Document | None = await self._on(collection).find_one_and_update(
                where, change, upsert=upsert, return_document=ReturnDocument.AFTER, session=self._session
            )
            return found

    async def update_many(self, collection: str, where: Where, change: Change) -> int:
        with self._translated():
            return int((await self._on(collection).update_many(where, change, session=self._session)).matched_count)

    async def update_each(self, collection: str, changes: Mapping[str, Change]) -> None:
        if changes:
            with self._translated():
                await self._on(collection).bulk_write(
                    [UpdateOne({"_id": key}, change) for key, change in changes.items()],
                    ordered=False,
                    session=self._session,
                )

    async def replace(self, collection: str, document: Document) -> None:
        await self.replace_many(collection, [document])

    async def replace_many(self, collection: str, documents: Sequence[Document]) -> None:
        if documents:
            with self._translated():
                await self._on(collection).bulk_write(
                    [ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in documents], session=self._session
                )

    async def delete(self, collection: str, where: Where) -> int:
        with self._translated():
            result = await self._on(collection).bulk_write([DeleteMany(dict(where))], session=self._session)
            return int(result.deleted_count)

    async def transaction(self, body: Callable[[Documents], Awaitable[T]]) -> T:
        # Our own loop: the driver's `with_transaction` retries silently for two minutes.
        deadline = time.monotonic() + _TRANSACTION_PATIENCE
        for pause in pauses(0.005, 0.5):
            began = time.monotonic()
            try:
                return await self._attempt(body)
            except _Conflict as conflict:
                CONFLICTS.inc()
                took = time.monotonic() - began
                ended = isinstance(cause := conflict.__cause__, PyMongoError) and bool(_codes(cause) & _ENDED_CODES)
                if ended and took >= await self._lifetime():
                    raise TooLongError(f"MongoDB: the transaction took {took:.1f} s") from conflict
                if time.monotonic() + pause > deadline:
                    raise UnavailableError(f"MongoDB: the transaction kept conflicting: {conflict}"[:500]) from conflict
            await asyncio.sleep(pause)
        raise AssertionError("pauses do not end")

    async def _lifetime(self) -> float:
        """For how many seconds the server lets a transaction be open."""
        name = "transactionLifetimeLimitSeconds"
        try:
            with _translated(False):
                return float((await self.database.client.admin.command({"getParameter": 1, name: 1}))[name])
        except OperationFailure:  # it is not told to everybody
            return _DEFAULT_LIFETIME

    async def _attempt(self, body: Callable[[Documents], Awaitable[T]]) -> T:
        with _translated(True):
            session = await self.database.client.start_session()
        async with session:
            session.start_transaction(ReadConcern("snapshot"), _MAJORITY, ReadPreference.PRIMARY)
            try:
                result = await body(MongoDocuments(self.database, session))
            except BaseException:
                with contextlib.suppress(PyMongoError):
                    await session.abort_transaction()
                raise
            for last in (False, False, True):
                try:
                    with _translated(True):
                        await session.commit_transaction()
                    break
                except UnavailableError as error:
                    # Whether it was committed is unknown; committing again is safe, and says which.
                    if last or not getattr(error.__cause__, "has_error_label", lambda _: False)(
                        "UnknownTransactionCommitResult"
                    ):
                        raise
            return result

    @contextlib.asynccontextmanager
    async def changes(self, collection: str) -> AsyncIterator[AsyncIterator[str]]:
        # Of a collection that is dropped the end is told, too, which is about no document.
        stages = [{"$match": {"documentKey": {"$exists": True}}}, {"$project": {"documentKey": 1}}]
        async with self._on(collection).watch(stages) as stream:
            with self._translated():
                first = await stream.try_next()  # asking for one is what opens it
            yield self._ids(stream, first)

    async def _ids(self, stream: Any, change: Document | None) -> AsyncIterator[str]:
        while True:
            if change is not None:
                yield change["documentKey"]["_id"]
            try:
                with self._translated():
                    change = await stream.next()
            except StopAsyncIteration:
                return

    async def ping(self) -> None:
        with self._translated():
            await self.database.client.admin.command("ping")

    async def create_index(self, collection: str, keys: Sequence[tuple[str, int]], **options: Any) -> None:
        """Declare an index; without effect if it is there."""
        with self._translated():
            await self._on(collection).create_index(list(keys), **options)

    async def drop_index(self, collection: str, keys: Sequence[tuple[str, int]]) -> None:
        """Without effect if it is not there."""
        with self._translated():
            try:
                await self._on(collection).drop_index(list(keys))
            except OperationFailure as error:
                if error.code != _NO_INDEX:
                    raise

    async def create_collections(self, names: Sequence[str]) -> None:
        """Create what is missing: a transaction must not have to."""
        with self._translated():
            for name in sorted(set(names) - set(await self.database.list_collection_names())):
                try:
                    await self.database.create_collection(name, check_exists=False)
                except OperationFailure as error:
                    if error.code != _EXISTS:  # made by another process meanwhile
                        raise

    def close(self) -> None:
        """Let go of the connections."""
        self.database.client.close()


def connect(url: str, database: str) -> MongoDocuments:
    """Documents in `database`; connects lazily, `ping` tells whether it is there."""
    client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
        url,
        serverSelectionTimeoutMS=3_000,
        connectTimeoutMS=3_000,
        socketTimeoutMS=20_000,
        w="majority",
        # What is acted on, or told to others, must not be undone by the next primary.
        readConcernLevel="majority",
        journal=True,
        appname="castlist",
    )
    options: CodecOptions[Document] = CodecOptions(tz_aware=True)
    return MongoDocuments(client.get_database(database, codec_options=options))
