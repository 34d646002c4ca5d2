"""Tell those who follow a task that it changed: one change stream of the collection, however many follow."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from castlist.service.periodic import every
from castlist.store.records import TaskRecord
from castlist.store.store import Table

_AGAIN = 0.5
"""Seconds after which the stream is opened anew where it broke off."""


class TaskChanges:
    """Who follows which task. Nobody is told what changed, only that it is time to read the task again."""

    def __init__(self, tasks: Table[TaskRecord]) -> None:
        self._tasks = tasks
        self._followers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def followed(self, task_id: str) -> Iterator[asyncio.Event]:
        """Inside, the event is set by each change of the task, and where one may have been missed: as at first."""
        changed = asyncio.Event()
        changed.set()
        self._followers[task_id].add(changed)
        try:
            yield changed
        finally:
            self._followers[task_id].discard(changed)
            if not self._followers[task_id]:
                del self._followers[task_id]

    async def run(self) -> None:
        """Listen for ever; while MongoDB is away nobody hears anything, and then all do."""
        await every(_AGAIN, self._listen, "task_changes")

    async def _listen(self) -> None:
        async with self._tasks.changes() as ids:
            for task_id in self._followers:
                self._tell(task_id)
            async for task_id in ids:
                self._tell(task_id)

    def _tell(self, task_id: str) -> None:
        for changed in self._followers.get(task_id, ()):
            changed.set()
