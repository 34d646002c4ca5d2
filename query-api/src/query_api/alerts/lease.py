"""Who of several processes does what only one may do at a time."""

import time
from collections.abc import Callable

from castlist.ports.errors import AlreadyExistsError
from castlist.store.query import add, eq, set_to, with_id
from castlist.store.records.alerts import LeaseRecord
from castlist.store.store import Store

TIME = 6.0
"""Seconds after which the work of a process that gives no sign of life is taken over."""
_SAFE = 2 / 3
"""Of that time, how much the holder relies on."""


class Lease:
    """No clocks are compared: whoever sees the holder's number stay the same for long enough takes over."""

    def __init__(
        self,
        store: Store,
        what: str,
        owner: str,
        seconds: float = TIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._what, self._owner, self._seconds, self._clock = store, what, owner, seconds, clock
        self._seen: tuple[LeaseRecord | None, float] = (None, 0.0)
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether the work is this process's for now."""
        return self._clock() < self._until

    async def hold(self) -> bool:
        """Renew it, or take it where nobody has it; whether it is held. To be called every second or so."""
        now = self._clock()
        if self._until - now > self._seconds * _SAFE / 2:
            return True
        found = await self._store.leases.get(self._what)
        if found is None:
            taken = await self._take_first()
        elif found.owner == self._owner or self._has_stopped(found, now):
            taken = await self._take(found)
        else:
            taken = False
        self._until = now + self._seconds * _SAFE if taken else 0.0
        return taken

    async def release(self) -> None:
        """Let another have it at once."""
        self._until = 0.0
        await self._store.leases.delete(with_id(self._what) & eq(LeaseRecord.owner, self._owner))

    def _has_stopped(self, found: LeaseRecord, now: float) -> bool:
        seen, since = self._seen
        if seen != found:
            self._seen = (found, now)
            return False
        return now - since >= self._seconds

    async def _take(self, found: LeaseRecord) -> bool:
        unmoved = with_id(self._what) & eq(LeaseRecord.owner, found.owner) & eq(LeaseRecord.beat, found.beat)
        ours = set_to(LeaseRecord.owner, self._owner) & add(LeaseRecord.beat, 1)
        return await self._store.leases.update(unmoved, ours) is not None

    async def _take_first(self) -> bool:
        try:
            await self._store.leases.insert(LeaseRecord(id=self._what, owner=self._owner, beat=0))
        except AlreadyExistsError:
            return False
        return True
