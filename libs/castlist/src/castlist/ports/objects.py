"""The objects a service keeps: the part of S3 that it relies on."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
    """The part of S3 we rely on. `bucket` None is our own, which has a name."""

    bucket: str

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectInfo: ...

    async def get(self, key: str) -> bytes:
        """ObjectMissingError if there is none. For small objects."""
        ...

    async def head(self, key: str, *, bucket: str | None = None) -> ObjectInfo:
        """ObjectMissingError if there is none, ObjectForbiddenError if the bucket of another system refuses us. Where
        our own does, that is an outage."""
        ...

    def read(
        self, key: str, *, bucket: str | None = None, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes from start to end (exclusive, cut where the object ends); ObjectMissingError if it is gone or is
        not `etag` any more, and as `head`."""
        ...

    async def fetch(self, key: str, path: Path, *, bucket: str | None = None, etag: str | None = None) -> ObjectInfo:
        """Write the object to `path`; ObjectMissingError as in `read`."""
        ...

    def upload(self, key: str, content_type: str) -> AbstractAsyncContextManager[Upload]:
        """Write an object of unknown size. Leaving without `complete` aborts."""
        ...

    async def delete(self, key: str) -> None: ...

    async def delete_prefix(self, prefix: str) -> int:
        """How many objects there were."""
        ...

    async def list(self, prefix: str) -> list[ObjectInfo]: ...

    async def abort_stale_uploads(self, older_than: float, prefix: str = "") -> int:
        """Abort uploads under `prefix` that began more than `older_than` seconds ago; how many.

        Every server knows a whole key; MinIO finds nothing by less of one, and ends uploads itself after a day.
        """
        ...

    async def ping(self) -> None: ...
