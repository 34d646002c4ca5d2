"""Attempts, recorded before the work: whoever dies over a job has no chance to say so afterwards.

A strike is a child that died or overran its bounds under a living parent; three, and nobody tries again. An owner that
vanished (killed, or its partition went elsewhere) is counted apart, up to ten. Servers that are away never count.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from castlist.ports.documents import Document, Documents
from castlist.ports.errors import Unavailable
from castlist.store.collections import ATTEMPTS
from frame_workers.slots.child import ChildLost, JobBug

log = logging.getLogger(__name__)
T = TypeVar("T")

STRIKES = 3
VANISHED = 10
_PAUSE = 0.5


class GaveUp(Exception):
    """Tried often enough. `code` is one of castlist.tasks.lifecycle.ERROR_CODES."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Trials:
    """Runs jobs under a record each. `owner` names this process, this start of it."""

    def __init__(self, documents: Documents, owner: str, clock: Callable[[], datetime]) -> None:
        self._documents, self._owner, self._clock = documents, owner, clock

    async def run(self, key: str, job: Callable[[], Awaitable[T]]) -> T:
        """What `job` returns, trying again after strikes; raises GaveUp, and whatever else `job` raises.

        The record stays until `forget`: until the result is published, vanishing counts.
        """
        while True:
            record = await self._begin(key)
            if (exhausted := _exhausted(record)) is not None:
                await self._release(key)
                raise exhausted
            try:
                return await job()
            except ChildLost as lost:
                message = f"{lost.reason.replace('_', ' ')}: {lost}"
                await self._count(key, "strikes", message)
            except JobBug as bug:
                await self._count(key, "bugs", str(bug))
            except BaseException:  # refused, cancelled, a server away: nobody's strike
                with contextlib.suppress(Unavailable):
                    await self._release(key)
                raise
            await asyncio.sleep(_PAUSE)

    async def forget(self, key: str) -> None:
        """The job is done, and its result is safe."""
        await self._documents.delete(ATTEMPTS, {"_id": key})

    async def _begin(self, key: str) -> Document:
        before = await self._documents.get(ATTEMPTS, key)
        vanished = before is not None and before["running"] and before["owner"] != self._owner
        record = await self._documents.update(
            ATTEMPTS,
            {"_id": key},
            {
                "$set": {"owner": self._owner, "running": True, "begun_at": self._clock()},
                "$inc": {"attempts": 1, "vanished": int(vanished), "strikes": 0, "bugs": 0},
            },
            upsert=True,
        )
        assert record is not None
        return record

    async def _count(self, key: str, what: str, message: str) -> None:
        log.warning("an attempt failed", extra={"attempt": key, "counts_as": what, "reason": message})
        await self._documents.update(
            ATTEMPTS, {"_id": key}, {"$inc": {what: 1}, "$set": {"running": False, "message": message}}, upsert=True
        )

    async def _release(self, key: str) -> None:
        await self._documents.update(ATTEMPTS, {"_id": key, "owner": self._owner}, {"$set": {"running": False}})


def _exhausted(record: Document) -> GaveUp | None:
    message = str(record.get("message", ""))
    if record["strikes"] >= STRIKES:
        return GaveUp("decoder_crashed", f"Working on it failed {record['strikes']} times; the last time it {message}")
    if record["bugs"] >= STRIKES:
        return GaveUp("internal", message)
    if record["vanished"] >= VANISHED:
        return GaveUp("worker_vanished", f"Its workers vanished {record['vanished']} times.")
    return None
