"""What is being worked on in this process, so that a cancel can stop it within moments."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_REMEMBERED = 10_000


class RunCancelledError(Exception):
    """The run was cancelled, or its result is not wanted any more."""


class RunningJobs:
    """Jobs by run (`video:epoch`). What was stopped stays so: MongoDB may learn of the cancel a moment later."""

    def __init__(self) -> None:
        self._tasks: dict[str, set[asyncio.Task[Any]]] = defaultdict(set)
        self._stopped: OrderedDict[str, None] = OrderedDict()

    def is_stopped(self, run: str) -> bool:
        """Whether `stop` was called for it."""
        return run in self._stopped

    async def stoppable(self, run: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; RunCancelledError if the run was, or is meanwhile, stopped. `work` has ended then."""
        if self.is_stopped(run):
            work.close()
            raise RunCancelledError
        task = asyncio.create_task(work)
        self._tasks[run].add(task)
        try:
            await asyncio.wait({task})
            if task.cancelled():
                raise RunCancelledError
            return task.result()
        finally:
            if not task.done():  # we are being cancelled ourselves: the process ends
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            self._tasks[run].discard(task)
            if not self._tasks[run]:
                del self._tasks[run]

    def stop(self, run: str) -> None:
        """Stop all work on this run, now and to come."""
        self._stopped[run] = None
        if len(self._stopped) > _REMEMBERED:
            self._stopped.popitem(last=False)
        for task in self._tasks.get(run, ()):
            task.cancel()
