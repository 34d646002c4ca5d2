"""An archive that is to be imported, on its way into S3."""

import hashlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from castlist.archive.archive_format import MEDIA_TYPE
from castlist.clock import now_utc
from castlist.contract.ids import ARCHIVES
from castlist.contract.values import StoredObject
from castlist.ports.objects import Objects
from castlist.service.problems import Problem


@dataclass(frozen=True)
class ReceivedArchive:
    """An object of ours, and what its bytes hash to."""

    object: StoredObject
    sha256: str


class ReceivedArchives:
    """Where they go. What nobody imports in the end, the aggregator's sweep takes away."""

    def __init__(self, objects: Objects, most: int) -> None:
        self._objects, self._most = objects, most

    async def receive(self, blocks: AsyncIterator[bytes]) -> ReceivedArchive:
        """Store what `blocks` give. Whatever is raised, by `blocks` too, nothing is left of it. Problem 413."""
        # The key says when it began: that is how old what was given up is.
        key = f"{ARCHIVES}{int(now_utc().timestamp())}-{uuid.uuid4().hex}.tar"
        digest, size = hashlib.sha256(), 0
        async with self._objects.upload(key, MEDIA_TYPE) as upload:
            async for block in blocks:
                size += len(block)
                if size > self._most:
                    raise Problem(413, f"The archive is larger than {self._most} bytes.")
                digest.update(block)
                await upload.write(block)
            info = await upload.complete()
        return ReceivedArchive(StoredObject(self._objects.bucket, key, info.etag), digest.hexdigest())

    async def discard(self, archive: ReceivedArchive) -> None:
        """Nobody imports it."""
        await self._objects.delete(archive.object.key)
