"""Whether this process gets anywhere: outages are waited out; who is stuck without one exits, to be started again."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from castlist.ports.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")
EXIT_STUCK = 75
_LONGEST_PAUSE = 2.0


class Pulse:
    """Beats whenever something happens: a message, a child's progress, an end, and every try while a server is away."""

    def __init__(self) -> None:
        self.in_hand = 0
        self._last = time.monotonic()

    def beat(self) -> None:
        """Something has happened."""
        self._last = time.monotonic()

    def still_for(self) -> float:
        """Seconds since anything happened."""
        return time.monotonic() - self._last

    async def outlast(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do `step`, again and again while a server that it needs is away. It must be safe to repeat."""
        pause = 0.05
        while True:
            try:
                return await step()
            except Unavailable as error:
                self.beat()
                log.warning("a server is away; trying again", extra={"reason": str(error)[:200]})
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _LONGEST_PAUSE)


async def watchdog(
    pulse: Pulse,
    behind: Callable[[], Awaitable[int]],
    servers: Callable[[], Awaitable[None]],
    idle_limit: float,
    busy_limit: float,
    every: float = 5.0,
) -> None:
    """Exit hard when there is work and nothing happens, although every server is there.

    `behind` counts messages that wait for us, `servers` raises Unavailable while one is away. `busy_limit` applies
    while something is in hand, and must be longer than any job may take.
    """
    while True:
        await asyncio.sleep(every)
        limit = busy_limit if pulse.in_hand else idle_limit
        if pulse.still_for() <= limit:
            continue
        try:
            await asyncio.wait_for(servers(), 10)
        except (Unavailable, TimeoutError):
            pulse.beat()  # somebody else's trouble: restarting would not help
            continue
        try:
            waiting = bool(pulse.in_hand or await asyncio.wait_for(behind(), 30))
        except (Unavailable, TimeoutError):
            waiting = True  # Kafka is there, and our consumer cannot speak with it
        if waiting:
            log.critical("stuck", extra={"in_hand": pulse.in_hand, "still_for": pulse.still_for()})
            os._exit(EXIT_STUCK)
        pulse.beat()
