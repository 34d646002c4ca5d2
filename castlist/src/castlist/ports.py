"""What the services need from the outside: documents, objects and a log of messages.

Each port has a real adapter (mongo.py, s3.py, kafka.py) and one in memory (memory.py); one conformance suite runs over
both. What may heal by waiting raises `Unavailable`; everything else is a bug or the caller's mistake.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from castlist.events import Event

T = TypeVar("T")
Document = dict[str, Any]
Where = Mapping[str, Any]
Change = Mapping[str, Any]


class Unavailable(Exception):
    """A server is away or overloaded: try again later, nothing is known to be wrong with the request."""


class AlreadyExists(Exception):
    """A document with this `_id` (or another unique key) is there already."""


class TooLarge(Exception):
    """A message that the log does not take, now or later."""


class ObjectMissing(Exception):
    """No object under this key, or not the version that was asked for."""


# --- documents --------------------------------------------------------------------------------------------------------


class Documents(Protocol):
    """The part of MongoDB we rely on. Every write is majority-journaled before it returns.

    `where` is a MongoDB filter of equality, $in, $nin, $ne, $gt, $gte, $lt, $lte, $exists, $or and $and; `change` an
    update of $set, $unset, $setOnInsert, $max, $min, $inc, $addToSet, $pull and $push, on dotted paths.
    """

    async def get(self, collection: str, id: str) -> Document | None: ...

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        fields: Sequence[str] = (),
    ) -> list[Document]:
        """Matching documents; `limit` 0 is all, `fields` empty is whole documents (`_id` always comes)."""
        ...

    async def count(self, collection: str, where: Where) -> int: ...

    async def count_by(self, collection: str, where: Where, field: str) -> dict[Any, int]:
        """How many matching documents there are for each value of `field`; values that none has are left out."""
        ...

    async def insert(self, collection: str, document: Document) -> None:
        """AlreadyExists if the `_id` or a unique key is taken."""
        ...

    async def insert_many(self, collection: str, documents: Sequence[Document]) -> None:
        """All or AlreadyExists (outside a transaction, those before the offending one stay)."""
        ...

    async def update(self, collection: str, where: Where, change: Change, *, upsert: bool = False) -> Document | None:
        """Change one matching document and return it as it is afterwards; None if there is none."""
        ...

    async def update_many(self, collection: str, where: Where, change: Change) -> int: ...

    async def update_each(self, collection: str, changes: Mapping[str, Change]) -> None:
        """A change for each `_id`, in one call; those that are not there are passed over."""
        ...

    async def replace(self, collection: str, document: Document) -> None:
        """Put `document` in the place of the one with its `_id`, or insert it."""
        ...

    async def replace_many(self, collection: str, documents: Sequence[Document]) -> None: ...

    async def delete(self, collection: str, where: Where) -> int: ...

    async def transaction(self, body: Callable[["Documents"], Awaitable[T]]) -> T:
        """Run `body` on a view whose writes happen together or not at all; on a write conflict it is run again, whole.

        An exception from `body` undoes everything and is raised. A body that catches AlreadyExists must not go on: the
        transaction is over by then. Not to be nested.
        """
        ...

    async def ping(self) -> None:
        """Unavailable if a majority write cannot be expected to work now."""
        ...


# --- objects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ObjectInfo:
    """`etag` without quotes."""

    key: str
    bytes: int
    etag: str
    content_type: str = "application/octet-stream"


class Upload(Protocol):
    """An object being written; nothing is visible under its key until `complete`."""

    async def write(self, data: bytes) -> None:
        """Any size; full parts are sent as they fill, a bounded number at a time."""
        ...

    async def complete(self) -> ObjectInfo: ...

    async def abort(self) -> None:
        """Nothing remains. Safe to call twice."""
        ...


class Objects(Protocol):
    """The part of S3 we rely on. `bucket` None is our own."""

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectInfo: ...

    async def get(self, key: str) -> bytes:
        """ObjectMissing if there is none. For small objects."""
        ...

    async def head(self, key: str, *, bucket: str | None = None) -> ObjectInfo:
        """ObjectMissing if there is none."""
        ...

    def read(
        self, key: str, *, bucket: str | None = None, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes from start to end (exclusive, cut where the object ends); ObjectMissing if it is gone or is not
        `etag` any more."""
        ...

    async def fetch(self, key: str, path: Path, *, bucket: str | None = None, etag: str | None = None) -> ObjectInfo:
        """Write the object to `path`; ObjectMissing as in `read`."""
        ...

    def upload(self, key: str, content_type: str) -> AbstractAsyncContextManager[Upload]:
        """Write an object of unknown size. Leaving without `complete` aborts."""
        ...

    async def delete(self, key: str) -> None: ...

    async def delete_prefix(self, prefix: str) -> int:
        """How many objects there were."""
        ...

    async def list(self, prefix: str) -> list[ObjectInfo]: ...

    async def abort_stale_uploads(self, older_than: float) -> int:
        """Abort uploads begun more than `older_than` seconds ago by processes that are gone."""
        ...

    async def ping(self) -> None: ...


# --- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """A message as it lies in the log."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = field(default=())


class Publisher(Protocol):
    """Writes to the log; returns when the brokers have it for good. Idempotent within a process.

    TooLarge for a message over the log's limit. A message has a key or a value.
    """

    async def publish(self, *events: Event) -> None:
        """Each to its topic under its key; in order within a key."""
        ...

    async def publish_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None: ...

    async def publish_entries(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
        """(topic, key, value) each, as `publish_raw` in this order, but waiting only once."""
        ...

    async def bury(self, message: Message, reason: str) -> None:
        """The raw message into its topic's dead letters, the reason and where it came from in the headers.

        One too large to be sent is cut, and a header `truncated_from` says how long it was.
        """
        ...

    async def ping(self) -> None: ...


class Subscription(Protocol):
    """Messages of some topics for one member of a group, one at a time for each partition.

    A partition whose message was handed out gives no further one until that was committed; after a rebalance or a crash
    it is handed out again, to whoever owns the partition then.
    """

    async def receive(self, timeout: float) -> Message | None:
        """The next message, or None after `timeout` seconds."""
        ...

    async def commit(self, message: Message) -> None:
        """Done with this one. Without effect if the partition has moved to somebody else."""
        ...
