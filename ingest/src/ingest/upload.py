"""Streaming an upload into S3 while hashing it. What is not accepted in the end leaves nothing behind."""

import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from castlist.http import Problem
from castlist.ids import upload_key
from castlist.metrics import UPLOADED_BYTES
from castlist.ports import Documents, ObjectInfo, Objects
from castlist.schema import UPLOADS
from ingest.sniff import ENOUGH, container_of, what_else

TOUCH_EVERY = 30.0


@dataclass(frozen=True)
class Received:
    """A complete object, under a key of its own, that no video refers to yet."""

    object: ObjectInfo
    sha256: str


class Uploads:
    """Where uploads go."""

    def __init__(self, documents: Documents, objects: Objects, clock: Callable[[], datetime], max_bytes: int) -> None:
        self._documents, self._objects, self._clock, self._max_bytes = documents, objects, clock, max_bytes

    @asynccontextmanager
    async def receive(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Received]:
        """Store what `chunks` give; inside, decide what becomes of it, and `keep` it or not.

        An intent is recorded first, so that a sweep finds what a crash leaves. Problem 413 or 415.
        """
        head, rest = await _head(chunks)
        kind = container_of(head)
        if kind is None:
            raise Problem(415, f"This is not a video: it is {what_else(head)}.")
        key = upload_key(uuid.uuid4().hex)
        await self._documents.insert(UPLOADS, {"_id": key, "touched_at": self._clock(), "video_id": None})
        try:
            yield await self._store(key, kind, head, rest)
        except BaseException:
            await self.discard(key)
            raise

    async def _store(self, key: str, kind: str, head: bytes, rest: AsyncIterator[bytes]) -> Received:
        digest, size, touched = hashlib.sha256(), 0, time.monotonic()
        async with self._objects.upload(key, kind) as upload:
            async for chunk in _chain(head, rest):
                size += len(chunk)
                if size > self._max_bytes:
                    raise Problem(413, f"The file is larger than {self._max_bytes} bytes.")
                digest.update(chunk)
                UPLOADED_BYTES.inc(len(chunk))
                await upload.write(chunk)
                if time.monotonic() - touched > TOUCH_EVERY:
                    touched = time.monotonic()
                    await self._documents.update(UPLOADS, {"_id": key}, {"$set": {"touched_at": self._clock()}})
            info = await upload.complete()
        return Received(info, digest.hexdigest())

    async def meant_for(self, key: str, video_id: str) -> None:
        """Which video the object will belong to, said before it does: the sweep asks that video."""
        await self._documents.update(UPLOADS, {"_id": key}, {"$set": {"video_id": video_id}})

    async def kept(self, key: str) -> None:
        """A video refers to the object now."""
        await self._documents.delete(UPLOADS, {"_id": key})

    async def discard(self, key: str) -> None:
        """Nobody refers to the object, or ever will."""
        await self._objects.delete(key)
        await self._documents.delete(UPLOADS, {"_id": key})


async def _head(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= ENOUGH:
            break
    return head, chunks


async def _chain(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk
