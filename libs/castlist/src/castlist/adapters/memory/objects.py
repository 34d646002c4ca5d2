"""Objects in memory."""

import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from castlist.ports.errors import ObjectForbiddenError, ObjectMissingError, UnavailableError
from castlist.ports.objects import ObjectInfo, Objects, Upload

PART = 8 * 1024 * 1024
_READ = 256 * 1024


@dataclass(frozen=True)
class _Object:
    info: ObjectInfo
    data: bytes


class MemoryUpload(Upload):
    """Keeps parts apart until they are completed; its ETag tells, as S3's does, how many there were."""

    def __init__(self, objects: "MemoryObjects", key: str, content_type: str) -> None:
        self._objects, self.key, self._type = objects, key, content_type
        self._data = bytearray()
        self._over = False
        self.begun = time.time()

    async def write(self, data: bytes) -> None:
        self._data += data
        if len(self._data) >= PART and not self._over:
            self._objects.uploads.add(self)

    async def complete(self) -> ObjectInfo:
        if self._over:
            raise UnavailableError(f"{self.key}: the upload was aborted")
        data = bytes(self._data)
        etag = None
        if len(data) >= PART:
            parts = [hashlib.md5(data[at : at + PART]).digest() for at in range(0, len(data), PART)]
            etag = f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"
        self._over = True
        self._objects.uploads.discard(self)
        return self._objects.store(self.key, data, self._type, etag)

    async def abort(self) -> None:
        self._over = True
        self._data.clear()
        self._objects.uploads.discard(self)


class MemoryObjects(Objects):
    """`Objects` in a dictionary; `buckets` holds those that can be read beside our own, but for `forbidden` ones."""

    def __init__(self, bucket: str = "castlist") -> None:
        self.bucket = bucket
        self.buckets: dict[str, dict[str, _Object]] = {bucket: {}}
        self.forbidden: set[str] = set()
        self.uploads: set[MemoryUpload] = set()

    def store(
        self, key: str, data: bytes, content_type: str, etag: str | None = None, *, bucket: str | None = None
    ) -> ObjectInfo:
        """Put an object, into another bucket too (which is made where it is missing)."""
        info = ObjectInfo(key, len(data), etag or hashlib.md5(data).hexdigest(), content_type)
        self.buckets.setdefault(bucket or self.bucket, {})[key] = _Object(info, data)
        return info

    def _found(self, key: str, bucket: str | None, etag: str | None = None) -> _Object:
        if bucket in self.forbidden:
            raise ObjectForbiddenError(f"{key}: AccessDenied")
        found = self.buckets.get(bucket or self.bucket, {}).get(key)
        if found is None:
            raise ObjectMissingError(f"{key}: there is none")
        if etag is not None and found.info.etag != etag:
            raise ObjectMissingError(f"{key}: is not {etag} any more")
        return found

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectInfo:
        return self.store(key, bytes(data), content_type)

    async def get(self, key: str) -> bytes:
        return self._found(key, None).data

    async def head(self, key: str, *, bucket: str | None = None) -> ObjectInfo:
        return self._found(key, bucket).info

    async def read(
        self, key: str, *, bucket: str | None = None, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        data = self._found(key, bucket, etag).data[start:end]
        for at in range(0, len(data), _READ):
            yield data[at : at + _READ]

    async def fetch(self, key: str, path: Path, *, bucket: str | None = None, etag: str | None = None) -> ObjectInfo:
        found = self._found(key, bucket, etag)
        path.write_bytes(found.data)
        return found.info

    @asynccontextmanager
    async def upload(self, key: str, content_type: str) -> AsyncIterator[MemoryUpload]:
        upload = MemoryUpload(self, key, content_type)
        try:
            yield upload
        finally:
            await upload.abort()

    async def delete(self, key: str) -> None:
        self.buckets[self.bucket].pop(key, None)

    async def delete_prefix(self, prefix: str) -> int:
        found = await self.list(prefix)
        for info in found:
            await self.delete(info.key)
        return len(found)

    async def list(self, prefix: str) -> list[ObjectInfo]:
        return [one.info for key, one in sorted(self.buckets[self.bucket].items()) if key.startswith(prefix)]

    async def abort_stale_uploads(self, older_than: float, prefix: str = "") -> int:
        limit = time.time() - older_than
        stale = [upload for upload in self.uploads if upload.key.startswith(prefix) and upload.begun < limit]
        for upload in stale:
            await upload.abort()
        return len(stale)

    async def ping(self) -> None:
        return None
