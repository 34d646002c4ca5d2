"""Whether a process gets anywhere: one that is stuck although every server is there exits, to be started again."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator

from castlist.ports.errors import UnavailableError
from castlist.service.exit_codes import ExitCode

log = logging.getLogger(__name__)


class Liveness:
    """When something happened last: a message taken or finished, a child's progress."""

    def __init__(self) -> None:
        self.in_hand = 0
        """messages that are being worked on"""
        self._last = time.monotonic()

    def beat(self) -> None:
        """Something has happened."""
        self._last = time.monotonic()

    def still_for(self) -> float:
        """Seconds since anything happened."""
        return time.monotonic() - self._last

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """A message is in hand while inside."""
        self.in_hand += 1
        self.beat()
        try:
            yield
        finally:
            self.in_hand -= 1
            self.beat()


async def watchdog(
    liveness: Liveness,
    waiting: Callable[[], Awaitable[int]],
    servers: Callable[[], Awaitable[object]],
    idle_limit: float,
    busy_limit: float,
    every: float = 5.0,
) -> None:
    """Exit hard when there is work and nothing happens, although every server is there.

    `waiting` counts messages that wait for this process, `servers` raises UnavailableError while one is away.
    `busy_limit` applies while something is in hand, and must be longer than any job may take. All in seconds.
    """
    while True:
        await asyncio.sleep(every)
        limit = busy_limit if liveness.in_hand else idle_limit
        if liveness.still_for() <= limit:
            continue
        try:
            await asyncio.wait_for(servers(), 10)
        except (UnavailableError, TimeoutError):
            liveness.beat()  # a server's trouble: restarting would not help
            continue
        try:
            work = bool(liveness.in_hand or await asyncio.wait_for(waiting(), 30))
        except (UnavailableError, TimeoutError):
            work = True  # Kafka is there, and our consumer cannot speak with it
        if work:
            log.critical("consumer_stuck", extra={"in_hand": liveness.in_hand, "still_for": liveness.still_for()})
            os._exit(ExitCode.STUCK)
        liveness.beat()
