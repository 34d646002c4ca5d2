"""Streaming an upload into S3 while hashing it. What is not accepted in the end leaves nothing behind."""

import contextlib
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime

from castlist.contract.ids import upload_key
from castlist.media.containers import ENOUGH, container_of
from castlist.media.other_files import what_else
from castlist.ports.errors import UnavailableError
from castlist.ports.objects import ObjectInfo, Objects
from castlist.service.metrics import UPLOADED_BYTES
from castlist.service.problems import Problem
from castlist.store.query import eq, set_to, with_id
from castlist.store.records.videos import UploadRecord
from castlist.store.store import Store
from castlist.tasks.uploads import GIVEN_UP

TOUCH_EVERY = 30.0
# Most videos are known by so many bytes.
_OFTEN_ENOUGH = 4096


@dataclass(frozen=True)
class Received:
    """A complete object, under a key of its own, that no video refers to yet."""

    object: ObjectInfo
    sha256: str


class Uploads:
    """Where uploads go. An intent is recorded before the first byte, so that a sweep finds what a crash leaves."""

    def __init__(self, store: Store, objects: Objects, clock: Callable[[], datetime], max_bytes: int) -> None:
        self._store, self._objects, self._clock, self._max_bytes = store, objects, clock, max_bytes

    async def receive(self, chunks: AsyncIterator[bytes]) -> Received:
        """Store what `chunks` give. Whatever is raised, by `chunks` too, nothing is left of it. Problem 413 or 415."""
        head, rest = await _head(chunks)
        container = container_of(head)
        if container is None:
            raise Problem(415, f"This is not a video: it is {what_else(head)}.")
        key, now = upload_key(uuid.uuid4().hex), self._clock()
        await self._store.uploads.insert(UploadRecord(id=key, started_at=now, touched_at=now))
        try:
            return await self._write(key, container.media_type, head, rest)
        except BaseException:
            await self.discard(key)
            raise

    async def _write(self, key: str, media_type: str, head: bytes, rest: AsyncIterator[bytes]) -> Received:
        digest, size, touched = hashlib.sha256(), 0, time.monotonic()
        async with self._objects.upload(key, media_type) as upload:
            async for chunk in _chain(head, rest):
                size += len(chunk)
                if size > self._max_bytes:
                    raise Problem(413, f"The file is larger than {self._max_bytes} bytes.")
                digest.update(chunk)
                UPLOADED_BYTES.inc(len(chunk))
                await upload.write(chunk)
                if time.monotonic() - touched > TOUCH_EVERY:
                    touched = time.monotonic()
                    await self._touch(key)
            await self._touch(key)
            info = await upload.complete()
        return Received(info, digest.hexdigest())

    async def _touch(self, key: str) -> None:
        alive = with_id(key) & eq(UploadRecord.condemned, False)
        if await self._store.uploads.update(alive, set_to(UploadRecord.touched_at, self._clock())) is None:
            raise UnavailableError(GIVEN_UP)

    async def discard(self, key: str) -> None:
        """No video will refer to the object. What cannot be done now, the sweep does."""
        with contextlib.suppress(UnavailableError):
            await self._objects.delete(key)
            await self._store.uploads.delete(with_id(key))


async def _head(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= ENOUGH or (len(head) >= _OFTEN_ENOUGH and container_of(head) is not None):
            break
    return head, chunks


async def _chain(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk
