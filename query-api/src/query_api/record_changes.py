"""Tell those who follow a record that it changed: one change stream of its collection, however many follow."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from castlist.service.periodic import every
from castlist.store.store import Table

_AGAIN = 0.5
"""Seconds after which the stream is opened anew where it broke off."""


class RecordChanges:
    """Who follows which record. Nobody is told what changed, only that it is time to read it again."""

    def __init__(self, table: Table[Any]) -> None:
        self._table = table
        self._followers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def followed(self, id: str) -> Iterator[asyncio.Event]:
        """Inside, the event is set by each change of the record, and where one may have been missed: as at first."""
        changed = asyncio.Event()
        changed.set()
        self._followers[id].add(changed)
        try:
            yield changed
        finally:
            self._followers[id].discard(changed)
            if not self._followers[id]:
                del self._followers[id]

    async def run(self) -> None:
        """Listen for ever; while MongoDB is away nobody hears anything, and then all do."""
        await every(_AGAIN, self._listen, "record_changes")

    async def _listen(self) -> None:
        async with self._table.changes() as ids:
            for id in self._followers:
                self._tell(id)
            async for id in ids:
                self._tell(id)

    def _tell(self, id: str) -> None:
        for changed in self._followers.get(id, ()):
            changed.set()
