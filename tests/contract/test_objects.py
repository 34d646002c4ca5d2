"""`Objects`, in memory and in S3."""

import asyncio
import contextlib
import hashlib
from pathlib import Path
from typing import Any

import pytest

from castlist.adapters import s3
from castlist.ports.errors import ObjectForbiddenError, ObjectMissingError, UnavailableError
from castlist.ports.objects import Objects
from castlist.service.settings import Settings
from contract.conftest import Bucket

MIB = 2**20


def _bytes(size: int) -> bytes:
    return bytes(hashlib.shake_128(str(size).encode()).digest(size))


async def _read(objects: Objects, key: str, **how: Any) -> bytes:
    return b"".join([block async for block in objects.read(key, **how)])


async def test_an_object_comes_back_with_its_facts(bucket: Bucket) -> None:
    """Put, head, get and list agree on bytes, size, ETag (without quotes) and type; a second put replaces."""
    put = await bucket.objects.put("crops/ü v/0.jpg", b"first", "image/jpeg")
    assert put == await bucket.objects.head("crops/ü v/0.jpg")
    assert (put.key, put.bytes, put.etag, put.content_type) == (
        "crops/ü v/0.jpg", 5, hashlib.md5(b"first").hexdigest(), "image/jpeg",
    )  # fmt: skip
    assert await bucket.objects.get("crops/ü v/0.jpg") == b"first"
    assert (await bucket.objects.put("crops/ü v/0.jpg", b"second", "image/jpeg")).etag != put.etag
    assert await bucket.objects.get("crops/ü v/0.jpg") == b"second"
    assert [(one.key, one.bytes) for one in await bucket.objects.list("crops/")] == [("crops/ü v/0.jpg", 6)]


@pytest.mark.parametrize(
    "key",
    ["no", "../../etc/passwd", "a/../b", "..", "nul\0byte", "line\nbreak", "x" * 300, "é" * 200, "/a", "a//b", "%2e/x"],
    ids=lambda key: ascii(key[:12]),
)
async def test_a_missing_object_is_object_missing(bucket: Bucket, key: str, tmp_path: Path) -> None:
    """Whatever its key is: a message may name anything, and waiting would not help."""
    with pytest.raises(ObjectMissingError):
        await bucket.objects.head(key)
    with pytest.raises(ObjectMissingError):
        await bucket.objects.fetch(key, tmp_path / "file")
    with pytest.raises(ObjectMissingError):
        await _read(bucket.objects, key)


@pytest.mark.parametrize("missing", ["no-such-bucket-here", "Not A Bucket", "..", "a/b", "x" * 63])
async def test_a_missing_bucket_is_object_missing(bucket: Bucket, missing: str, tmp_path: Path) -> None:
    """So is a bucket that does not exist, or could not."""
    with pytest.raises(ObjectMissingError):
        await bucket.objects.head("key", bucket=missing)
    with pytest.raises(ObjectMissingError):
        await bucket.objects.fetch("key", tmp_path / "file", bucket=missing)


async def test_other_buckets_can_be_read(bucket: Bucket, tmp_path: Path) -> None:
    """Announced objects lie where their producer put them."""
    other = await bucket.put_elsewhere("their/video", b"theirs")
    assert (await bucket.objects.head("their/video", bucket=other)).bytes == 6
    assert await _read(bucket.objects, "their/video", bucket=other) == b"theirs"
    assert (await bucket.objects.fetch("their/video", tmp_path / "file", bucket=other)).bytes == 6
    with pytest.raises(ObjectMissingError):
        await bucket.objects.head("their/video")


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, 1), (3, 7), (5, None), (9, 10), (0, 10), (8, 99), (4, 4), (0, 0)]
)
async def test_ranges(bucket: Bucket, start: int, end: int | None) -> None:
    """From start to end, the end not included and cut where the object ends; an empty range is empty."""
    await bucket.objects.put("digits", b"0123456789", "text/plain")
    assert await _read(bucket.objects, "digits", start=start, end=end) == b"0123456789"[start:end]


async def test_only_the_version_that_was_asked_for(bucket: Bucket, tmp_path: Path) -> None:
    """With an ETag, an object that was overwritten is ObjectMissingError, by read (whole or in part) and by fetch."""
    old = await bucket.objects.put("video", b"old bytes", "video/mp4")
    assert await _read(bucket.objects, "video", etag=old.etag) == b"old bytes"
    await bucket.objects.fetch("video", tmp_path / "file", etag=old.etag)
    assert (tmp_path / "file").read_bytes() == b"old bytes"
    await bucket.objects.put("video", b"new bytes", "video/mp4")
    for how in ({}, {"start": 2, "end": 5}):
        with pytest.raises(ObjectMissingError):
            await _read(bucket.objects, "video", etag=old.etag, **how)
    with pytest.raises(ObjectMissingError):
        await bucket.objects.fetch("video", tmp_path / "file", etag=old.etag)


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 41 * MIB + 3])
async def test_uploads_of_any_size(bucket: Bucket, size: int, tmp_path: Path) -> None:
    """Written in uneven pieces, an object is there whole after `complete` and not before."""
    data = _bytes(size)
    async with bucket.objects.upload("videos/one", "video/mp4") as upload:
        at, piece = 0, 700_001
        while at < size:
            await upload.write(data[at : at + piece])
            at, piece = at + piece, piece * 2 % 5_000_011
        with pytest.raises(ObjectMissingError):
            await bucket.objects.head("videos/one")
        info = await upload.complete()
    assert (info.bytes, info.content_type) == (size, "video/mp4")
    assert info == await bucket.objects.head("videos/one")
    fetched = await bucket.objects.fetch("videos/one", tmp_path / "file", etag=info.etag)
    assert (fetched.bytes, (tmp_path / "file").read_bytes() == data) == (size, True)
    assert await bucket.open_uploads() == 0


async def test_one_large_write_becomes_parts(bucket: Bucket) -> None:
    """A piece of many parts' size is cut up; its ETag says how many parts there were."""
    data = _bytes(20 * MIB)
    async with bucket.objects.upload("big", "video/mp4") as upload:
        await upload.write(data)
        assert await bucket.open_uploads() == 1
        info = await upload.complete()
    assert info.etag.endswith("-3")
    assert await _read(bucket.objects, "big", start=8 * MIB - 2, end=8 * MIB + 2) == data[8 * MIB - 2 : 8 * MIB + 2]


@pytest.mark.parametrize("size", [100, 20 * MIB])
async def test_an_upload_that_is_left_leaves_nothing(bucket: Bucket, size: int) -> None:
    """An exception with parts under way aborts: no object, no parts, and the exception is the caller's own."""
    uploads = []

    async def interrupted() -> None:
        async with bucket.objects.upload("videos/one", "video/mp4") as upload:
            uploads.append(upload)
            await upload.write(_bytes(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await interrupted()
    with pytest.raises(ObjectMissingError):
        await bucket.objects.head("videos/one")
    assert await bucket.open_uploads() == 0
    await uploads[0].abort()


async def test_aborting_after_complete_keeps_the_object(bucket: Bucket) -> None:
    """`abort` is safe at any time: what was completed stays."""
    async with bucket.objects.upload("videos/one", "video/mp4") as upload:
        await upload.write(_bytes(9 * MIB))
        await upload.complete()
        await upload.abort()
    assert (await bucket.objects.head("videos/one")).bytes == 9 * MIB


async def test_an_upload_replaces_only_when_complete(bucket: Bucket) -> None:
    """Until then, and after an abort, the old object is under its key."""
    await bucket.objects.put("videos/one", b"old", "video/mp4")
    async with bucket.objects.upload("videos/one", "video/mp4") as upload:
        await upload.write(_bytes(9 * MIB))
        assert await bucket.objects.get("videos/one") == b"old"
    assert await bucket.objects.get("videos/one") == b"old"


async def test_stale_uploads_are_aborted_and_young_ones_not(bucket: Bucket) -> None:
    """What a killed process left in parts goes once it is older than asked for; others' prefixes are not looked at."""
    async with bucket.objects.upload("videos/one", "video/mp4") as upload:
        await upload.write(_bytes(9 * MIB))
        # A killed process sends no more; a part that arrived after its upload was aborted would stay in the bucket.
        await asyncio.gather(*getattr(upload, "_tasks", ()))
        assert await bucket.objects.abort_stale_uploads(3600, "videos/") == 0
        assert await bucket.objects.abort_stale_uploads(-1, "crops/") == 0
        assert await bucket.open_uploads() == 1
        assert await bucket.objects.abort_stale_uploads(-1, "videos/") == 1
        assert await bucket.open_uploads() == 0


async def test_the_parts_of_one_object_are_found_by_its_key(bucket: Bucket) -> None:
    """Which is all that some servers find them by."""
    async with bucket.objects.upload("videos/one", "video/mp4") as upload:
        await upload.write(_bytes(9 * MIB))
        await asyncio.gather(*getattr(upload, "_tasks", ()))
        assert await bucket.objects.abort_stale_uploads(-1, "videos/two") == 0
        assert await bucket.objects.abort_stale_uploads(-1, "videos/one") == 1
        assert await bucket.open_uploads() == 0


async def test_deleting(bucket: Bucket) -> None:
    """One object or all under a prefix; what is not there is no error; neighbours stay."""
    for key in ("crops/v/1/0.jpg", "crops/v/1/1.jpg", "crops/v/10/0.jpg", "crops/w/1/0.jpg"):
        await bucket.objects.put(key, b"x", "image/jpeg")
    assert await bucket.objects.delete_prefix("crops/v/1/") == 2
    assert await bucket.objects.delete_prefix("crops/v/1/") == 0
    assert [one.key for one in await bucket.objects.list("")] == ["crops/v/10/0.jpg", "crops/w/1/0.jpg"]
    await bucket.objects.delete("crops/w/1/0.jpg")
    await bucket.objects.delete("crops/w/1/0.jpg")
    assert [one.key for one in await bucket.objects.list("crops/w")] == []
    await bucket.objects.ping()


async def test_a_failed_fetch_raises_even_where_a_file_was(bucket: Bucket, tmp_path: Path) -> None:
    """The caller learns of it; the old file is not passed off as the object."""
    (tmp_path / "file").write_bytes(b"before")
    with pytest.raises(ObjectMissingError):
        await bucket.objects.fetch("none", tmp_path / "file")


async def test_the_servers_absence_is_unavailable() -> None:
    """A port where no server listens heals by waiting: UnavailableError, not a missing object."""
    async with s3.connect("http://127.0.0.1:9", "bucket", "a", "b", "us-east-1") as objects:
        with pytest.raises(UnavailableError):
            await objects.head("key")
        with pytest.raises(UnavailableError):
            await objects.ping()


@pytest.mark.stack
async def test_a_key_that_is_not_taken_any_more_is_an_outage() -> None:
    """Whatever is asked of our bucket, or of others' with that key: it is nobody's file, and readiness tells it."""
    endpoint, bucket, access_key, secret_key, region = Settings().s3
    async with s3.connect(endpoint, bucket, access_key, secret_key, region) as ours:
        await ours.create_bucket()
    for keys in ((access_key, f"{secret_key}-of-before"), (f"{access_key}-of-before", secret_key)):
        async with s3.connect(endpoint, bucket, *keys, region) as refused:
            for asked in (
                refused.ping(),
                refused.head("key"),
                refused.get("key"),
                refused.put("key", b"", "image/jpeg"),
                refused.list(""),
                refused.delete("key"),
                refused.head("key", bucket="other-bucket"),
                _read(refused, "key", bucket="other-bucket"),
            ):
                with pytest.raises(UnavailableError):
                    await asked


async def test_a_bucket_of_others_that_refuses_us_is_no_outage() -> None:
    """While our own is there: waiting would not help, and it is the announced object's failure."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                allowed = head.split()[1].startswith(b"/ours")
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % (b"200 OK" if allowed else b"403 Forbidden"))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with s3.connect(f"http://127.0.0.1:{port}", "ours", "key", "secret", "region") as objects:
            await objects.ping()
            with pytest.raises(ObjectForbiddenError):
                await objects.head("key", bucket="theirs")
            with pytest.raises(ObjectForbiddenError):
                await _read(objects, "key", bucket="theirs")
