"""Objects on the local disk: fetched once per machine, kept while there is room, shared by all processes here.

What is in use carries a shared file lock, so no process evicts it; the kernel drops the locks of a process that dies.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from castlist.contract.values import StoredObject
from castlist.ports.errors import ObjectMissingError, UnavailableError
from castlist.ports.objects import Objects
from castlist.service.metrics import STAGE_SECONDS

log = logging.getLogger(__name__)
_TRY_EVERY = 0.05


class ObjectChangedError(ObjectMissingError):
    """There is an object under this key, but not the one that was announced."""


class ObjectCache:
    """A folder of at most `capacity` bytes, not counting what is in use right now."""

    def __init__(self, folder: Path, capacity: int, objects: Objects) -> None:
        self._folder, self._capacity, self._objects = folder, capacity, objects
        self._unwanted: set[str] = set()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in folder.glob("*.part"):
            _remove_abandoned(part)

    @asynccontextmanager
    async def hold(self, stored: StoredObject, size: int | None = None) -> AsyncIterator[Path]:
        """A file with the object's bytes while inside; `stored` must say its etag.

        `size`: what S3 has just said that it has under this etag, if it was asked.

        Raises ObjectMissingError, ObjectChangedError, or UnavailableError where S3 or room on the disk is lacking.
        """
        path = self._folder / f"{place_of(stored)}-{_digest(str(stored.etag))}"
        held = await self._open(path, stored, size)
        try:
            os.utime(path)  # the least recently used goes first
            yield path
        finally:
            os.close(held)
            if path.name in self._unwanted and _remove_unused(path):
                self._unwanted.discard(path.name)
            self._evict(self._capacity)

    def forget(self, stored: StoredObject) -> None:
        """Keep no copy of the object, of whatever etag; one that is in use here goes when it is not any more."""
        for path in self._folder.glob(f"{place_of(stored)}-*"):
            if not path.suffix and not _remove_unused(path):
                self._unwanted.add(path.name)

    async def _open(self, path: Path, stored: StoredObject, size: int | None) -> int:
        """A descriptor that holds the file's shared lock; fetches it first where it is not there."""
        while True:
            with contextlib.suppress(FileNotFoundError):
                return await _lock(path, os.O_RDONLY, fcntl.LOCK_SH)
            # The process that gets this lock fetches; the others find the file when they get it.
            fetching = path.with_suffix(".lock")
            lock = await _lock(fetching, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX)
            try:
                if not path.exists():
                    await self._fetch(path, stored, size)
                held = await _lock(path, os.O_RDONLY, fcntl.LOCK_SH)
            except FileNotFoundError:
                continue  # evicted in between
            finally:
                fetching.unlink(missing_ok=True)
                os.close(lock)
            return held

    async def _fetch(self, path: Path, stored: StoredObject, size: int | None) -> None:
        part, began = path.with_suffix(".part"), time.monotonic()
        try:
            if size is None:
                head = await self._objects.head(stored.key, bucket=stored.bucket)
                if head.etag != stored.etag:
                    raise ObjectChangedError(f"{stored.key} is another object by now than the one announced")
                size = head.bytes
            self._evict(self._capacity - size)
            info = await self._objects.fetch(stored.key, part, bucket=stored.bucket, etag=stored.etag)
            part.replace(path)
        except OSError as error:
            self._evict(0)
            raise UnavailableError(f"disk: {error}") from error
        finally:
            part.unlink(missing_ok=True)
        STAGE_SECONDS.labels("fetch").observe(time.monotonic() - began)
        log.info("object_fetched", extra={"key": stored.key, "bytes": info.bytes})

    def _evict(self, room: int) -> None:
        """Remove files that are not in use, the least recently used first, until the rest is at most `room` bytes."""
        files: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            if not path.suffix:
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    files.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= room:
                return
            if _remove_unused(path):
                total -= size


def place_of(stored: StoredObject) -> str:
    """With what the names of all copies of an object begin, whatever its etag."""
    return _digest(f"{stored.bucket}\n{stored.key}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _remove_abandoned(part: Path) -> None:
    """Remove half a file, unless a process is fetching the other half."""
    fetching = part.with_suffix(".lock")
    lock = os.open(fetching, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink(missing_ok=True)
            fetching.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _remove_unused(path: Path) -> bool:
    try:
        unused = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(unused, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(unused)
    return True


async def _lock(path: Path, flags: int, kind: int) -> int:
    """Open and lock what lies under `path` now, waiting as long as it takes; FileNotFoundError where nothing does."""
    while True:
        opened = os.open(path, flags, 0o600)
        try:
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(opened, kind | fcntl.LOCK_NB)
                    break
                await asyncio.sleep(_TRY_EVERY)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(opened), path.stat()):
                    return opened
        except BaseException:
            os.close(opened)
            raise
        os.close(opened)  # removed or replaced while we waited: try what is there now
