"""Fetched videos on the local disk, against an S3 that counts."""

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, cast

import pytest

from castlist.contract.values import StoredObject
from castlist.ports.errors import ObjectMissingError, UnavailableError
from castlist.ports.objects import ObjectInfo, Objects
from frame_workers.object_cache import ObjectCache, ObjectChangedError


class CountingObjects:
    """Objects of 100 bytes under any key; counts what is fetched."""

    def __init__(self) -> None:
        self.etag = "e1"
        self.fetched: list[str] = []
        self.asked_about: list[str] = []
        self.fail: list[Exception] = []

    async def head(self, key: str, *, bucket: str | None = None) -> ObjectInfo:
        if key == "missing":
            raise ObjectMissingError(key)
        self.asked_about.append(key)
        return ObjectInfo(key, 100, self.etag)

    async def fetch(self, key: str, path: Path, *, bucket: str | None = None, etag: str | None = None) -> ObjectInfo:
        self.fetched.append(key)
        path.write_bytes(b"half")
        await asyncio.sleep(0.05)
        if self.fail:
            raise self.fail.pop()
        path.write_bytes(key.encode().ljust(100))
        return ObjectInfo(key, 100, self.etag)


def cache_on(folder: Path, objects: CountingObjects, capacity: int = 10_000) -> ObjectCache:
    return ObjectCache(folder, capacity, cast("Objects", objects))


def stored(key: str, etag: str = "e1") -> StoredObject:
    return StoredObject(bucket="bucket", key=key, etag=etag)


async def read(cache: ObjectCache, key: str, **how: Any) -> bytes:
    async with cache.hold(stored(key, **how)) as path:
        return path.read_bytes().strip()


async def test_an_object_is_fetched_once_for_all_who_want_it(tmp_path: Path) -> None:
    """Also by several processes: two caches on one folder stand for them, their locks do not know each other."""
    objects = CountingObjects()
    caches = [cache_on(tmp_path, objects), cache_on(tmp_path, objects)]
    found = await asyncio.gather(*(read(caches[number % 2], "a") for number in range(8)))
    assert found == [b"a"] * 8
    assert await read(caches[0], "a") == b"a"
    assert objects.fetched == ["a"]


async def test_s3_is_not_asked_again_how_large_an_object_is(tmp_path: Path) -> None:
    """Who has just been told says so; room is made for it all the same."""
    objects = CountingObjects()
    cache = cache_on(tmp_path, objects, capacity=250)
    for key in ("a", "b", "c"):
        async with cache.hold(stored(key), 100) as path:
            assert path.read_bytes().strip() == key.encode()
    assert (objects.fetched, objects.asked_about) == (["a", "b", "c"], [])
    assert await read(cache, "a") == b"a"
    assert (objects.fetched, objects.asked_about) == (["a", "b", "c", "a"], ["a"])


async def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    """There is room for two."""
    objects = CountingObjects()
    cache = cache_on(tmp_path, objects, 250)
    for number, key in enumerate(["a", "b", "a", "c"]):
        async with cache.hold(stored(key)) as path:
            os.utime(path, (number, number))
    await read(cache, "a")
    assert objects.fetched == ["a", "b", "c"]
    await read(cache, "b")
    assert objects.fetched == ["a", "b", "c", "b"]


async def test_what_is_in_use_is_never_evicted(tmp_path: Path) -> None:
    """Not even by another process, and not where nothing may be kept at all."""
    objects = CountingObjects()
    cache = cache_on(tmp_path, objects, 0)
    other = cache_on(tmp_path, objects, 0)
    async with cache.hold(stored("a")) as path:
        assert await read(other, "b") == b"b"
        assert path.read_bytes().strip() == b"a"
    assert [file for file in tmp_path.iterdir() if file.is_file()] == []


async def test_a_fetch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """And the next one tries again."""
    objects = CountingObjects()
    objects.fail = [UnavailableError("S3 is away")]
    cache = cache_on(tmp_path, objects)
    with pytest.raises(UnavailableError):
        await read(cache, "a")
    assert list(tmp_path.iterdir()) == []
    assert await read(cache, "a") == b"a"


async def test_a_full_disk_is_an_outage(tmp_path: Path) -> None:
    """It may heal; the video is not to blame."""
    objects = CountingObjects()
    objects.fail = [OSError(28, "No space left on device")]
    with pytest.raises(UnavailableError, match="No space left"):
        await read(cache_on(tmp_path, objects), "a")


async def test_missing_and_changed_objects(tmp_path: Path) -> None:
    """They are told apart; another version of an object is another file."""
    objects = CountingObjects()
    cache = cache_on(tmp_path, objects)
    with pytest.raises(ObjectMissingError) as missing:
        await read(cache, "missing")
    assert not isinstance(missing.value, ObjectChangedError)
    await read(cache, "a")
    objects.etag = "e2"
    with pytest.raises(ObjectChangedError):
        await read(cache, "b")
    await read(cache, "a", etag="e2")
    assert objects.fetched == ["a", "a"]


async def test_a_fetch_that_was_killed_is_done_again(tmp_path: Path) -> None:
    """The lock of a dead process is free, and its half a file is not taken for a whole one."""
    program = textwrap.dedent("""
        import asyncio, os, sys
        from pathlib import Path
        from castlist.contract.values import StoredObject
        from castlist.ports.objects import ObjectInfo
        from frame_workers.object_cache import ObjectCache
        class Slow:
            async def head(self, key, *, bucket=None):
                return ObjectInfo(key, 100, "e1")
            async def fetch(self, key, path, *, bucket=None, etag=None):
                path.write_bytes(b"half")
                os.kill(os.getpid(), 9)
        async def main():
            cache = ObjectCache(Path(sys.argv[1]), 10_000, Slow())
            async with cache.hold(StoredObject(bucket="bucket", key="a", etag="e1")):
                pass
        asyncio.run(main())
    """)
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(tmp_path), stderr=subprocess.PIPE)
    _, errors = await killed.communicate()
    assert killed.returncode == -9, errors
    assert list(tmp_path.glob("*.part"))
    objects = CountingObjects()
    cache = cache_on(tmp_path, objects)
    assert list(tmp_path.iterdir()) == []
    assert await read(cache, "a") == b"a"
    assert objects.fetched == ["a"]


async def test_a_cache_that_starts_leaves_the_fetches_of_others_alone(tmp_path: Path) -> None:
    """Half a file belongs to whoever holds its lock."""
    objects = CountingObjects()
    first = asyncio.create_task(read(cache_on(tmp_path, objects), "a"))
    async with asyncio.timeout(10):
        while not list(tmp_path.glob("*.part")):  # noqa: ASYNC110 - a file system tells nobody
            await asyncio.sleep(0.001)
    second = cache_on(tmp_path, objects)
    assert list(tmp_path.glob("*.part"))
    assert await read(second, "a") == await first == b"a"
    assert objects.fetched == ["a"]


async def test_what_is_to_be_forgotten_goes_and_in_use_it_goes_afterwards(tmp_path: Path) -> None:
    """Whichever version of it was fetched; other objects stay."""
    objects = CountingObjects()
    cache = cache_on(tmp_path, objects)
    await read(cache, "a")
    objects.etag = "e2"
    await read(cache, "a", etag="e2")
    await read(cache, "b", etag="e2")
    cache.forget(StoredObject("bucket", "a"))
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes().strip() == b"b"
    async with cache.hold(stored("b", "e2")) as path:
        cache.forget(StoredObject("bucket", "b"))
        assert path.read_bytes().strip() == b"b"
    assert list(tmp_path.iterdir()) == []
