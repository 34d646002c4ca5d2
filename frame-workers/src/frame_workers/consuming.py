"""The loop around a handler: receive, decode, handle, acknowledge; each partition's messages one after the other.

Whatever the handlers do, the loop goes on receiving: Kafka takes the work away from a consumer that does not.
"""

import asyncio
import logging
from typing import Protocol

from castlist.contract.codec import Poison, decode
from castlist.contract.events import Event
from castlist.contract.topics import Topic
from castlist.ports.errors import Unavailable
from castlist.ports.messages import Message, Publisher, Subscription
from castlist.service.metrics import DEAD_LETTERS
from frame_workers.pulse import Pulse

log = logging.getLogger(__name__)
_TRIES = 3
_POLL = 0.5
_PAUSE = 1.0


class Handler(Protocol):
    """What is done with the events of a topic. Both may raise Poison: handled, and to be buried as well."""

    async def handle(self, event: Event, /) -> None:
        """Returns when the message may be acknowledged. Waits while a server is away; other exceptions are bugs."""
        ...

    async def give_up(self, event: Event, error: Exception, /) -> None:
        """The bug `error` came up again and again: say that the work on `event` has failed."""
        ...


class Consumer:
    """Takes what a subscription has, each message in a task of its own, and acknowledges what is done.

    `buries`: messages that cannot be read become dead letters here; False where another group's readers do that.
    """

    def __init__(
        self,
        subscription: Subscription,
        topic: Topic,
        handler: Handler,
        publisher: Publisher,
        pulse: Pulse,
        *,
        buries: bool,
    ) -> None:
        self._subscription, self._topic, self._handler = subscription, topic, handler
        self._publisher, self._pulse, self._buries = publisher, pulse, buries

    async def run(self, stopping: asyncio.Event, drain: float) -> None:
        """Until `stopping`; then what is in hand gets `drain` seconds, and the rest is left for somebody else."""
        at_work: set[asyncio.Task[None]] = set()
        while not stopping.is_set():
            try:
                message = await self._subscription.receive(_POLL)
            except Unavailable as error:
                log.warning("cannot receive", extra={"topic": self._topic.name, "reason": str(error)[:200]})
                await asyncio.sleep(_PAUSE)
                continue
            if message is not None:
                self._pulse.beat()
                task = asyncio.create_task(self._take(message))
                at_work.add(task)
                task.add_done_callback(at_work.discard)
        if at_work:
            _, unfinished = await asyncio.wait(at_work, timeout=drain)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def _take(self, message: Message) -> None:
        self._pulse.in_hand += 1
        try:
            try:
                event = decode(self._topic, message.value)
            except Poison as poison:
                if self._buries:
                    await self._bury(message, poison)
            else:
                try:
                    await self._handle(event)
                except Poison as poison:
                    await self._bury(message, poison)
            await self._pulse.outlast(lambda: self._subscription.commit(message))
        finally:
            self._pulse.in_hand -= 1
            self._pulse.beat()

    async def _bury(self, message: Message, poison: Poison) -> None:
        DEAD_LETTERS.labels(self._topic.name).inc()
        await self._pulse.outlast(lambda: self._publisher.bury(message, str(poison)))

    async def _handle(self, event: Event) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                await self._handler.handle(event)
                return
            except Poison:
                raise
            except Exception as error:
                log.exception("bug", extra={"event": event.event, "event_id": event.event_id, "attempt": attempt})
                if attempt == _TRIES:
                    await self._handler.give_up(event, error)
            await asyncio.sleep(_PAUSE)
