"""Slots, each with a process of its own that can be killed: a crash, a hang or a cancel costs one job, no neighbour."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Protocol, Self

from castlist.children.child import Child, JobRunner
from castlist.messaging.fair_queue import Turn
from castlist.ports.errors import UnavailableError
from castlist.service.metrics import SLOTS_BUSY
from frame_workers.slots.fair_slots import FairSlots


class Slots(Protocol):
    """Where handlers get a child to run jobs on."""

    def slot(self, turn: Turn) -> AbstractAsyncContextManager[JobRunner]:
        """A child while inside; those who wait are served fairly."""
        ...


class Pool(Slots):
    """`size` slots. Children are started on entry and are gone on exit; `on_change` is called when one is ready.

    The child of the slot that is lent besides is started once the others are there: when it is needed, the cores are
    busy, and who has waited long enough would wait for its start as well.
    """

    def __init__(
        self, size: int, command: Sequence[str], on_change: Callable[["Pool"], None] = lambda pool: None
    ) -> None:
        self._on_change = on_change
        self._children = [Child(command, lambda _: self._ready()) for _ in range(size + 1)]
        self._own = self._children[:size]
        self._idle = set(self._children)
        self._slots = FairSlots(size)

    async def __aenter__(self) -> Self:
        for child in self._own:
            child.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(child.close() for child in self._children))

    def _ready(self) -> None:
        self._on_change(self)
        if all(child.facts for child in self._own):
            with contextlib.suppress(UnavailableError):  # the slots are closed
                self._children[-1].start()

    @property
    def children(self) -> Sequence[Child]:
        """The children, one for each slot; the last one is that of the slot that is lent."""
        return self._children

    @asynccontextmanager
    async def slot(self, turn: Turn) -> AsyncIterator[Child]:
        """A child to run jobs on while inside; those who wait are served fairly."""
        async with self._slots.take(turn):
            child = next(child for child in self._children if child in self._idle)
            self._idle.remove(child)
            SLOTS_BUSY.inc()
            try:
                yield child
            finally:
                SLOTS_BUSY.dec()
                self._idle.add(child)

    async def check(self) -> None:
        """UnavailableError while a child has never been ready; those that are gone are started."""
        for child in self._own:
            child.start()
        missing = sum(not child.facts for child in self._own)
        if missing:
            raise UnavailableError(f"{missing} of {len(self._own)} worker children are not ready")
