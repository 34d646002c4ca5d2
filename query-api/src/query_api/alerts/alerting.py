"""What one process of all does for those who want to hear of a gallery: number, watch, send; again and again."""

import asyncio
import contextlib
from collections.abc import Callable

from castlist.ports.errors import UnavailableError
from castlist.service.periodic import every
from castlist.store.store import Store
from query_api.alerts.feed_numbering import number
from query_api.alerts.lease import Lease
from query_api.alerts.sender import Sender
from query_api.alerts.watching import Watching

LEASE = "alerts"
_ROUND, _AGAIN = 1.0, 0.5


class Alerting:
    """Loops; what may fail in one round is done in the next. `publish` is called when there are alerts in the
    outbox."""

    def __init__(
        self, store: Store, lease: Lease, watching: Watching, sender: Sender, publish: Callable[[], None]
    ) -> None:
        self._store, self._lease, self._watching, self._sender = store, lease, watching, sender
        self._publish = publish
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There is something new. A hint: without it, it is found a little later."""
        self._news.set()

    async def run(self) -> None:
        """For ever; in the end another process may go on at once."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(every(_ROUND, self._hold, "alerts"))
                group.create_task(every(0.0, self._wait_and_work, "alerts"))
                group.create_task(every(_AGAIN, self._listen, "alerts"))
        finally:
            await self._sender.close()
            with contextlib.suppress(UnavailableError):
                await self._lease.release()

    async def round(self) -> None:
        """All that there is to do now, if it is this process's to do."""
        while self._lease.held:
            numbered = await number(self._store)
            if told := await self._watching.round():
                self._publish()
            await self._sender.round()
            if not numbered and not told:
                return

    async def _hold(self) -> None:
        """Beside the work, which may take its time."""
        held = self._lease.held
        if await self._lease.hold() and not held:
            self.wake()

    async def _wait_and_work(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ROUND):
                await self._news.wait()
        self._news.clear()
        try:
            await self.round()
        except Exception:
            await asyncio.sleep(_ROUND)
            raise
        return True

    async def _listen(self) -> None:
        """A commit says something: not a second later, but now."""
        async with self._store.gallery_log.changes() as ids:
            async for _ in ids:
                self.wake()
