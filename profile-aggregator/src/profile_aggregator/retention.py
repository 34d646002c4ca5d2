"""What a run was worked out from goes once its task has ended: its results, its plan, the attempts at it.

Who still reads any of it looks first whether the run is wanted, and it is not.
"""

from collections.abc import Callable
from datetime import datetime

from castlist.contract.ids import run_key
from castlist.store.query import ascending, below, eq, set_to, with_id, within
from castlist.store.records.runs import AttemptsRecord, ChunkResultRecord
from castlist.store.records.tasks import TaskRecord
from castlist.store.store import Store

CLEAR_EVERY = 5.0
_BATCH = 50


class Retention:
    """Run once in a few seconds; every step is safe to repeat, and to leave off at any time."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock

    async def round(self) -> bool:
        """Clear some of the runs that are due, those that ended first; True if there may be more."""
        due = below(TaskRecord.clear_after, self._clock())
        ended = await self._store.tasks.find(due, sort=[ascending(TaskRecord.clear_after)], limit=_BATCH)
        for task in ended:
            await self._clear(run_key(task.video_id, task.epoch))
            await self._store.tasks.update(with_id(task.id), set_to(TaskRecord.clear_after, None))
        return len(ended) == _BATCH

    async def _clear(self, run: str) -> None:
        await self._store.chunks.delete(eq(ChunkResultRecord.run, run))
        await self._store.plans.delete(with_id(run))
        await self._store.attempts.delete(within(AttemptsRecord.id, f"{run}:", f"{run};"))
