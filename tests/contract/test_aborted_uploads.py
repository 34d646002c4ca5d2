"""What is left in S3 of uploads that were given up while parts of them were under way."""

import asyncio
import contextlib
import os
import time
import uuid

import pytest

from castlist.adapters import s3
from castlist.adapters.s3 import PART

pytestmark = pytest.mark.stack
ROUNDS = 12


async def test_an_upload_given_up_with_parts_under_way_leaves_nothing() -> None:
    """Also no part that arrives after the abort: a bucket that holds anything at all cannot be deleted."""
    access = os.environ["S3_ACCESS_KEY"], os.environ["S3_SECRET_KEY"], "us-east-1"
    async with s3.connect(os.environ["S3_ENDPOINT"], f"contract-{uuid.uuid4().hex[:12]}", *access) as objects:
        await objects.create_bucket()
        began = time.monotonic()
        async with objects.upload("videos/whole", "video/mp4") as upload:
            await upload.write(bytes(PART))
            await upload.complete()
        await objects.delete("videos/whole")
        whole = time.monotonic() - began
        for round in range(ROUNDS):
            with contextlib.suppress(ConnectionAbortedError):
                async with objects.upload(f"videos/{round}", "video/mp4") as upload:
                    await upload.write(bytes(PART))
                    await asyncio.sleep(whole * round / ROUNDS)  # in the midst of sending, or of being stored
                    raise ConnectionAbortedError
        assert await objects.list("") == []
        await objects._client.delete_bucket(Bucket=objects.bucket)
