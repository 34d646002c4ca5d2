"""Whether a process gets anywhere: one that is stuck although every server is there exits, to be started again."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace

from castlist.messaging.lag import Lag, behind
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import LogObserver, Partition, ReadPosition
from castlist.service.exit_codes import ExitCode
from castlist.service.metrics import LAG

log = logging.getLogger(__name__)
Positions = Callable[[], Awaitable[Mapping[Partition, ReadPosition]]]


class Liveness:
    """When something happened last: a message taken or finished, a child's progress."""

    def __init__(self) -> None:
        self._in_hand: list[str] = []
        self._last = time.monotonic()

    @property
    def in_hand(self) -> int:
        """How many messages are being worked on."""
        return len(self._in_hand)

    def is_at_work(self, topic: str) -> bool:
        """Whether one of them is of `topic`."""
        return topic in self._in_hand

    def beat(self) -> None:
        """Something has happened."""
        self._last = time.monotonic()

    def still_for(self) -> float:
        """Seconds since anything happened."""
        return time.monotonic() - self._last

    @contextlib.contextmanager
    def at_work(self, topic: str) -> Iterator[None]:
        """A message of `topic` is in hand while inside."""
        self._in_hand.append(topic)
        self.beat()
        try:
            yield
        finally:
            self._in_hand.remove(topic)
            self.beat()


class Watchdog:
    """Ends the process when it is stuck: deaf to a partition of its own, or at work for longer than any job takes.

    It is deaf where messages lie behind its position in the log, it is free to take them, and it does not move,
    whatever else it does. `positions` says where its readers stand, `servers` raises UnavailableError while one is
    away. `idle_limit` and `busy_limit` are in seconds. How far it is behind is shown for each topic of `groups`, under
    the group it reads that in.
    """

    def __init__(
        self,
        liveness: Liveness,
        positions: Positions,
        observer: LogObserver,
        servers: Callable[[], Awaitable[object]],
        *,
        groups: Mapping[str, str],
        idle_limit: float,
        busy_limit: float,
    ) -> None:
        self._liveness, self._positions, self._observer, self._servers = liveness, positions, observer, servers
        self._groups = groups
        self._idle_limit, self._busy_limit = idle_limit, busy_limit
        self._lag = Lag()
        self._untold = 0.0

    async def run(self, every: float = 5.0) -> None:
        """Look for ever, each `every` seconds."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(every)
            # A process that was paused has not been deaf for all that time.
            await self.look(min(time.monotonic() - began, 2 * every))

    async def check(self) -> None:
        """For readiness: UnavailableError when a partition has not been heard for a third of what ends the process."""
        found = self._lag.longest()
        if found is not None and found[1].seconds >= self._idle_limit / 3:
            (topic, partition), wait = found
            raise UnavailableError(f"{topic}:{partition} has not moved from {wait.offset} for {wait.seconds:.0f} s")

    async def look(self, elapsed: float) -> None:
        """Once, `elapsed` seconds after the last time. Does not return if the process is stuck."""
        try:
            async with asyncio.timeout(15):
                positions = await self._positions()
                if not self._liveness.in_hand:  # what readers hold back for nobody is not in hand
                    positions = {place: replace(at, in_hand=False) for place, at in positions.items()}
                bounds = await self._observer.bounds(positions)
            self._lag.note(positions, bounds, elapsed)
            self._show(behind(positions, bounds))
            self._untold = 0.0
        except (UnavailableError, TimeoutError):
            self._untold += elapsed
        if not (self._lag.longest() or self._untold or self._liveness.in_hand):
            return
        if not await self._servers_are_there():
            # Their trouble: restarting would not help.
            self._liveness.beat()
            self._lag.forget()
            self._untold = 0.0
            return
        found = self._lag.longest()
        deaf = found is not None and found[1].seconds > self._idle_limit
        held = self._liveness.in_hand and self._liveness.still_for() > self._busy_limit
        if deaf and found is not None and not await self._is_message(*found[0], found[1].offset):
            self._lag.pass_over(found[0])
            return
        if not (deaf or held or self._untold > self._idle_limit):
            return
        where = {"topic": found[0][0], "partition": found[0][1], "offset": found[1].offset} if found else {}
        log.critical(
            "consumer_stuck",
            extra={"in_hand": self._liveness.in_hand, "still_for": self._liveness.still_for(), **where},
        )
        os._exit(ExitCode.STUCK)

    def _show(self, waiting: Mapping[str, int]) -> None:
        LAG.clear()  # what has moved to another process is that one's to show
        for topic, count in waiting.items():
            if topic in self._groups:
                LAG.labels(topic, self._groups[topic]).set(count)

    async def _servers_are_there(self) -> bool:
        try:
            await asyncio.wait_for(self._servers(), 10)
        except (UnavailableError, TimeoutError):
            return False
        return True

    async def _is_message(self, topic: str, partition: int, offset: int) -> bool:
        try:
            return await asyncio.wait_for(self._observer.has_message((topic, partition), offset), 15)
        except (UnavailableError, TimeoutError):
            return True
