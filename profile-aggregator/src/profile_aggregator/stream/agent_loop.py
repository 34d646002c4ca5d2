"""The loop every agent runs. Faust takes an exception in an agent for an acknowledgement, so none leaves this loop."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from castlist.contract.codec import Poison, decode
from castlist.contract.events import Event
from castlist.contract.topics import Topic
from castlist.ports.errors import Unavailable
from castlist.ports.messages import Message, Publisher
from castlist.service.json_logging import about
from castlist.service.metrics import DEAD_LETTERS

log = logging.getLogger(__name__)
Handle = Callable[[Event], Awaitable[None]]

# How the process ends when it must not acknowledge anything any more; whoever watches it starts it again.
EXIT_BUG, EXIT_CRASHED, EXIT_CANCELLED, EXIT_NOT_DRAINED = 70, 71, 72, 73
EXIT_NOT_COMMITTED, EXIT_STUCK, EXIT_OWNED_ELSEWHERE, EXIT_TOPICS_LOST = 74, 75, 76, 77


class Stream(Protocol):
    """The part of a Faust stream that is used here."""

    def events(self) -> AsyncIterator[Any]: ...


class Progress:
    """What the loops, the watchdog and the shutdown know of each other."""

    def __init__(self) -> None:
        self.busy = 0
        self.draining = False
        self.outage = False
        self.last = time.monotonic()

    def idle_seconds(self) -> float:
        """Since a message was last finished."""
        return time.monotonic() - self.last


async def consume(stream: Stream, topic: Topic, handle: Handle, publisher: Publisher, progress: Progress) -> None:
    """Take one message after the other: outages are waited out, poison is buried, a bug ends the process.

    A message counts as acknowledged when the loop asks for the next one.
    """
    async for received in stream.events():
        if progress.draining:
            await asyncio.Event().wait()  # parked: the shutdown must not find this one acknowledged
        progress.busy += 1
        raw = received.message
        message = Message(raw.topic, raw.partition, raw.offset, raw.key, raw.value)
        delay = 0.05
        while True:
            try:
                await _once(message, topic, handle, publisher)
                break
            except Unavailable as error:
                progress.outage = True
                log.warning("a server is away; trying again", extra={"topic": topic.name, "reason": str(error)[:200]})
                await asyncio.sleep(delay * random.uniform(0.5, 1))
                delay = min(delay * 2, 2)
            except asyncio.CancelledError:
                os._exit(EXIT_CANCELLED)  # to raise it would acknowledge the message
            except BaseException:
                log.exception("bug", extra={"topic": topic.name, "offset": message.offset})
                os._exit(EXIT_BUG)
        progress.busy -= 1
        progress.outage = False
        progress.last = time.monotonic()


async def _once(message: Message, topic: Topic, handle: Handle, publisher: Publisher) -> None:
    try:
        event = decode(topic, message.value)
        with about(video=getattr(event, "video_id", None), epoch=getattr(event, "epoch", None)):
            await handle(event)
    except Poison as poison:
        DEAD_LETTERS.labels(topic.name).inc()
        await publisher.bury(message, str(poison))
