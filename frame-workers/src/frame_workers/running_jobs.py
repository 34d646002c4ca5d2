"""What is being worked on in this process, so that a cancel can stop it within moments."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_REMEMBERED = 10_000


class Stopped(Exception):
    """The work was cancelled by somebody, or nobody wants its result any more."""


class Running:
    """Work by attempt (`video:epoch`). What was stopped stays so: MongoDB may learn of the cancel a moment later."""

    def __init__(self) -> None:
        self._tasks: dict[str, set[asyncio.Task[Any]]] = defaultdict(set)
        self._stopped: OrderedDict[str, None] = OrderedDict()

    def is_stopped(self, attempt: str) -> bool:
        """Whether `stop` was called for it."""
        return attempt in self._stopped

    async def stoppable(self, attempt: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; Stopped if it was, or is meanwhile, stopped. `work` has ended when this returns."""
        if self.is_stopped(attempt):
            work.close()
            raise Stopped
        task = asyncio.create_task(work)
        self._tasks[attempt].add(task)
        try:
            await asyncio.wait({task})
            if task.cancelled():
                raise Stopped
            return task.result()
        finally:
            if not task.done():  # we are being cancelled ourselves: the process ends
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            self._tasks[attempt].discard(task)
            if not self._tasks[attempt]:
                del self._tasks[attempt]

    def stop(self, attempt: str) -> None:
        """Stop all work on this attempt, now and to come."""
        self._stopped[attempt] = None
        if len(self._stopped) > _REMEMBERED:
            self._stopped.popitem(last=False)
        for task in self._tasks.get(attempt, ()):
            task.cancel()
