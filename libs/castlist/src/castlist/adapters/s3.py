"""Objects in S3, through aiobotocore. The only module that knows it."""

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from castlist.ports.errors import ObjectForbiddenError, ObjectMissingError, UnavailableError
from castlist.ports.objects import ObjectInfo, Objects, Upload

PART = 8 * 1024 * 1024
PARTS_IN_FLIGHT = 3
_PARTS_ARRIVE = 10.0
_READ = 256 * 1024
_MISSING = {"NoSuchKey", "404", "NotFound", "NoSuchBucket", "PreconditionFailed", "412", "NoSuchVersion"}
_MISSING |= {"InvalidBucketName", "KeyTooLongError"}
# What servers answer when they are asked to read a key that they could not hold.
_IMPOSSIBLE = {"400", "InvalidRequest", "InvalidURI", "XMinioInvalidObjectName"}
_REFUSED = {401, 403}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FILE_NAME = 255


def _askable(bucket: str, key: str) -> None:
    """ObjectMissingError for what a URL cannot say: a step upwards would ask for another bucket's object."""
    if not _BUCKET.fullmatch(bucket) or ".." in bucket or "\0" in key or {".", ".."} & set(key.split("/")):
        raise ObjectMissingError(f"{bucket}/{key}: there can be none")


@contextlib.contextmanager
def _translated(key: str, *, reading: bool = False, foreign: bool = False) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status in _REFUSED and foreign:
            raise ObjectForbiddenError(f"{key}: {code}") from error
        if status in _REFUSED:
            # A key that was changed, or a policy: somebody has to mend it, and no object is the worse for it.
            raise UnavailableError(f"S3 refuses us: {error}") from error
        if code in _MISSING or (reading and code in _IMPOSSIBLE):
            raise ObjectMissingError(f"{key}: {code}") from error
        if reading and status == 500 and any(len(step.encode()) > _FILE_NAME for step in key.split("/")):
            # A server over a file system; waiting would not make its names longer.
            raise ObjectMissingError(f"{key}: {code}") from error
        if status >= 500 or code in {"SlowDown", "RequestTimeout", "InternalError", "NoSuchUpload"}:
            raise UnavailableError(f"S3: {error}") from error
        raise
    except ParamValidationError as error:  # a bucket's name that is none, say: waiting would not help
        raise ObjectMissingError(f"{key}: {error}") from error
    except (TimeoutError, BotoCoreError, HttpError, OSError) as error:
        raise UnavailableError(f"S3: {error!r}") from error


def _info(key: str, head: dict[str, Any], size: int) -> ObjectInfo:
    return ObjectInfo(key, size, head.get("ETag", "").strip('"'), head.get("ContentType", "application/octet-stream"))


class S3Upload(Upload):
    """A multipart upload with a bounded number of parts in flight; small objects go as one request."""

    def __init__(self, client: Any, bucket: str, key: str, content_type: str) -> None:
        self._client, self._bucket, self._key, self._type = client, bucket, key, content_type
        self._buffer = bytearray()
        self._id: str | None = None
        self._tasks: list[asyncio.Task[dict[str, Any]]] = []
        self._slots = asyncio.Semaphore(PARTS_IN_FLIGHT)
        self._size, self._done = 0, False

    async def write(self, data: bytes) -> None:
        self._buffer += data
        self._size += len(data)
        while len(self._buffer) >= PART:
            part = bytes(memoryview(self._buffer)[:PART])
            del self._buffer[:PART]
            await self._send(part)

    async def _send(self, data: bytes) -> None:
        with _translated(self._key):
            if self._id is None:
                made = await self._client.create_multipart_upload(
                    Bucket=self._bucket, Key=self._key, ContentType=self._type
                )
                self._id = made["UploadId"]
        await self._slots.acquire()
        for task in self._tasks:
            if task.done():
                task.result()  # a failed part fails the upload now, not after the last byte
        self._tasks.append(asyncio.create_task(self._part(len(self._tasks) + 1, data)))

    async def _part(self, number: int, data: bytes) -> dict[str, Any]:
        try:
            with _translated(self._key):
                sent = await self._client.upload_part(
                    Bucket=self._bucket, Key=self._key, UploadId=self._id, PartNumber=number, Body=data
                )
            return {"PartNumber": number, "ETag": sent["ETag"]}
        finally:
            self._slots.release()

    async def complete(self) -> ObjectInfo:
        with _translated(self._key):
            if self._id is None:
                await self._client.put_object(
                    Bucket=self._bucket, Key=self._key, Body=bytes(self._buffer), ContentType=self._type
                )
            else:
                if self._buffer:
                    await self._send(bytes(self._buffer))
                    self._buffer.clear()
                parts = await asyncio.gather(*self._tasks)
                await self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=self._key, UploadId=self._id, MultipartUpload={"Parts": parts}
                )
            self._done = True
            head = await self._client.head_object(Bucket=self._bucket, Key=self._key)
        if head["ContentLength"] != self._size:
            raise UnavailableError(f"S3: {self._key} has {head['ContentLength']} bytes, {self._size} were written")
        return _info(self._key, head, self._size)

    async def abort(self) -> None:
        # A part that is on its way may arrive after the abort, and would stay for ever: let those under way come first.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PARTS_ARRIVE)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._buffer.clear()
        if self._id is not None and not self._done:
            self._done = True
            # Must not hide why the upload ended; what stays behind, `abort_stale_uploads` finds.
            with contextlib.suppress(ObjectMissingError, UnavailableError, ClientError), _translated(self._key):
                await self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._id)


class S3Objects(Objects):
    """`Objects` in one bucket; other buckets can be read."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self.bucket = client, bucket

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectInfo:
        with _translated(key):
            made = await self._client.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type)
        return _info(key, {**made, "ContentType": content_type}, len(data))

    async def get(self, key: str) -> bytes:
        return b"".join([block async for block in self.read(key)])

    async def head(self, key: str, *, bucket: str | None = None) -> ObjectInfo:
        _askable(bucket or self.bucket, key)
        async with self._reading(key, bucket):
            head = await self._client.head_object(Bucket=bucket or self.bucket, Key=key)
        return _info(key, head, head["ContentLength"])

    @asynccontextmanager
    async def _reading(self, key: str, bucket: str | None) -> AsyncIterator[None]:
        try:
            with _translated(key, reading=True, foreign=bucket not in (None, self.bucket)):
                yield
        except ObjectForbiddenError:
            await self.ping()  # who is refused everywhere has lost the key
            raise

    def _asked(self, key: str, bucket: str | None, etag: str | None) -> dict[str, Any]:
        """What to ask for an object with; ObjectMissingError where there can be none."""
        _askable(bucket or self.bucket, key)
        asked = {"Bucket": bucket or self.bucket, "Key": key}
        return asked if etag is None else {**asked, "IfMatch": f'"{etag}"'}

    async def read(
        self, key: str, *, bucket: str | None = None, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        asked = self._asked(key, bucket, etag)
        if end is not None and end <= start:
            return
        if start or end is not None:
            asked["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        async with contextlib.aclosing(self._blocks(asked, bucket, etag, lambda _: None)) as blocks:
            async for block in blocks:
                yield block

    async def _blocks(
        self, asked: dict[str, Any], bucket: str | None, etag: str | None, told: Callable[[ObjectInfo], None]
    ) -> AsyncGenerator[bytes, None]:
        """What is asked for; `told` hears of the object before the first byte."""
        key = asked["Key"]
        async with self._reading(key, bucket):
            answer = await self._client.get_object(**asked)
            if etag is not None and answer.get("ETag", "").strip('"') != etag:
                answer["Body"].close()
                raise ObjectMissingError(f"{key}: is not {etag} any more")
            told(_info(key, answer, answer["ContentLength"]))
            async with answer["Body"] as body:
                async for block in body.iter_chunks(_READ):
                    yield block

    async def fetch(self, key: str, path: Path, *, bucket: str | None = None, etag: str | None = None) -> ObjectInfo:
        told: list[ObjectInfo] = []
        size = 0
        with path.open("wb") as file:
            async with contextlib.aclosing(
                self._blocks(self._asked(key, bucket, etag), bucket, etag, told.append)
            ) as blocks:
                async for block in blocks:
                    await asyncio.to_thread(file.write, block)
                    size += len(block)
        (info,) = told
        if size != info.bytes:
            raise UnavailableError(f"S3: {key} ended after {size} of {info.bytes} bytes")
        return info

    @asynccontextmanager
    async def upload(self, key: str, content_type: str) -> AsyncIterator[S3Upload]:
        upload = S3Upload(self._client, self.bucket, key, content_type)
        try:
            yield upload
        finally:
            await upload.abort()

    async def delete(self, key: str) -> None:
        with contextlib.suppress(ObjectMissingError), _translated(key):
            await self._client.delete_object(Bucket=self.bucket, Key=key)

    async def delete_prefix(self, prefix: str) -> int:
        found = await self.list(prefix)
        for first in range(0, len(found), 1000):
            keys = [{"Key": info.key} for info in found[first : first + 1000]]
            with _translated(prefix):
                await self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})
        return len(found)

    async def list(self, prefix: str) -> list[ObjectInfo]:
        found: list[ObjectInfo] = []
        with _translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            async for page in pages:
                found += [_info(item["Key"], item, item["Size"]) for item in page.get("Contents", ())]
        return found

    async def abort_stale_uploads(self, older_than: float, prefix: str = "") -> int:
        limit = datetime.now(UTC) - timedelta(seconds=older_than)
        stale: list[dict[str, Any]] = []
        with _translated("uploads"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
            async for page in pages:
                # Not every server looks at the prefix.
                ours = [one for one in page.get("Uploads", ()) if one["Key"].startswith(prefix)]
                stale += [one for one in ours if one["Initiated"] < limit]
            for upload in stale:
                await self._client.abort_multipart_upload(
                    Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        return len(stale)

    async def create_bucket(self) -> None:
        """Make our bucket; without effect if it is there."""
        with _translated(self.bucket):
            try:
                await self._client.head_bucket(Bucket=self.bucket)
            except ClientError:
                with contextlib.suppress(
                    self._client.exceptions.BucketAlreadyOwnedByYou, self._client.exceptions.BucketAlreadyExists
                ):
                    await self._client.create_bucket(Bucket=self.bucket)

    async def ping(self) -> None:
        with _translated(self.bucket):
            await self._client.head_bucket(Bucket=self.bucket)


# Reading the service's description takes a second; a session remembers it for the next client.
_session = functools.cache(get_session)


@asynccontextmanager
async def connect(
    endpoint: str, bucket: str, access_key: str, secret_key: str, region: str
) -> AsyncIterator[S3Objects]:
    """Objects in `bucket` while inside."""
    config = AioConfig(
        # Checksums by default (botocore 1.36 and later) break several servers that speak S3.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
        connect_timeout=3,
        read_timeout=30,
        retries={"max_attempts": 2, "mode": "standard"},
        max_pool_connections=50,
    )
    async with _session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=config,
    ) as client:
        yield S3Objects(client, bucket)
