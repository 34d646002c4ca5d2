"""Attempts at jobs, recorded before the work: a process that dies over a job has no chance to say so afterwards.

A strike is a child that died or overran its bounds under a living parent; three, and nothing tries again. An owner that
vanished (killed, or its partition went elsewhere) is counted apart, up to ten. Servers that are away never count.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from castlist.children.child import ChildLostError, JobError
from castlist.messaging.delivery import PostponedError
from castlist.ports.errors import UnavailableError
from castlist.store.query import Change, add, eq, set_to, with_id
from castlist.store.records.runs import AttemptsRecord
from castlist.store.store import Store

log = logging.getLogger(__name__)
T = TypeVar("T")

STRIKES = 3
VANISHED = 10


class AttemptsExhaustedError(Exception):
    """Tried often enough. `code` is one of castlist.tasks.lifecycle.ERROR_CODES."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Attempts:
    """Runs jobs under a record each. `owner` names this process, this start of it."""

    def __init__(self, store: Store, owner: str, clock: Callable[[], datetime]) -> None:
        self._store, self._owner, self._clock = store, owner, clock

    async def failed(self, key: str) -> int:
        """How often it was tried without success."""
        record = await self._store.attempts.get(key)
        return _tries(record) if record is not None else 0

    async def run(self, key: str, job: Callable[[], Awaitable[T]]) -> T:
        """What `job` returns. After a strike PostponedError: whoever holds a slot gives it back, and tries again in
        another turn; AttemptsExhaustedError when that was the last. Raises what else `job` raises.

        The record stays until `forget`: until the result is published, vanishing counts.
        """
        record = await self._begin(key)
        if (exhausted := _exhausted(record)) is not None:
            await self._release(key)
            raise exhausted
        try:
            return await job()
        except ChildLostError as lost:
            message = f"{lost.reason.replace('_', ' ')}: {lost}"
            record = await self._count(key, message, add(AttemptsRecord.strikes, 1))
        except JobError as error:
            record = await self._count(key, str(error), add(AttemptsRecord.bugs, 1))
        except BaseException:  # rejected, cancelled, a server away: no strike
            with contextlib.suppress(UnavailableError):
                await self._release(key)
            raise
        raise _exhausted(record) or PostponedError(_tries(record))

    async def forget(self, key: str) -> None:
        """The job is done, and its result is safe."""
        await self._store.attempts.delete(with_id(key))

    async def _begin(self, key: str) -> AttemptsRecord:
        before = await self._store.attempts.get(key)
        vanished = before is not None and before.running and before.owner != self._owner
        return await self._store.attempts.upsert(
            key,
            set_to(AttemptsRecord.owner, self._owner)
            & set_to(AttemptsRecord.running, True)
            & set_to(AttemptsRecord.begun_at, self._clock())
            & add(AttemptsRecord.attempts, 1)
            & add(AttemptsRecord.vanished, int(vanished)),
        )

    async def _count(self, key: str, message: str, what: Change) -> AttemptsRecord:
        log.warning("attempt_failed", extra={"job": key, "reason": message})
        change = what & set_to(AttemptsRecord.running, False) & set_to(AttemptsRecord.message, message)
        # The owner for the case that the record is gone: it is then begun by this very change.
        return await self._store.attempts.upsert(key, change & set_to(AttemptsRecord.owner, self._owner))

    async def _release(self, key: str) -> None:
        ours = with_id(key) & eq(AttemptsRecord.owner, self._owner)
        await self._store.attempts.update(ours, set_to(AttemptsRecord.running, False))


def _tries(record: AttemptsRecord) -> int:
    return record.strikes + record.bugs + record.vanished


def _exhausted(record: AttemptsRecord) -> AttemptsExhaustedError | None:
    if record.strikes >= STRIKES:
        often = f"Working on it failed {record.strikes} times; the last time it {record.message}"
        return AttemptsExhaustedError("decoder_crashed", often)
    if record.bugs >= STRIKES:
        return AttemptsExhaustedError("internal", record.message)
    if record.vanished >= VANISHED:
        return AttemptsExhaustedError("worker_vanished", f"Its workers vanished {record.vanished} times.")
    return None
