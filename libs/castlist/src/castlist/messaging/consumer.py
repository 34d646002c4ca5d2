"""The loop around a handler: receive, decode, handle, acknowledge; each partition's messages one after the other.

Whatever the handlers do, the loop goes on receiving: Kafka takes the work away from a consumer that does not.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from castlist.contract.codec import decode
from castlist.contract.errors import PermanentError
from castlist.contract.events import Event
from castlist.contract.topics import Topic
from castlist.messaging.delivery import Handle, deliver
from castlist.messaging.liveness import Liveness
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Listened, Message, Partition, Publisher, ReadPosition, Subscription
from castlist.retry import retry_while_unavailable

log = logging.getLogger(__name__)
_TRIES = 3
_POLL = 0.5
_PAUSE = 1.0

Listen = Callable[[], AbstractAsyncContextManager[Listened]]


class Handler(Protocol):
    """What is done with the events of a topic. Both may raise PermanentError: dealt with, and to be dead-lettered."""

    async def handle(self, event: Event, /) -> None:
        """Returns when the message may be acknowledged. Waits while a server is away; other exceptions are bugs."""
        ...

    async def fail(self, event: Event, error: Exception, /) -> None:
        """The bug `error` came up again and again: say that the work on `event` has failed."""
        ...


class Consumer:
    """Takes what a subscription has, each message in a task of its own, and acknowledges what is done.

    `keep_unreadable` as in `deliver`.
    """

    def __init__(
        self,
        subscription: Subscription,
        topic: Topic,
        handler: Handler,
        publisher: Publisher,
        liveness: Liveness,
        *,
        keep_unreadable: bool = True,
    ) -> None:
        self._subscription, self._topic, self._handler = subscription, topic, handler
        self._publisher, self._liveness, self._keep_unreadable = publisher, liveness, keep_unreadable

    async def run(self, stopping: asyncio.Event, drain: float) -> None:
        """Until `stopping`; then what is in hand gets `drain` seconds, and the rest is left for another process."""
        in_hand: set[asyncio.Task[None]] = set()
        while not stopping.is_set():
            try:
                message = await self._subscription.receive(_POLL)
            except UnavailableError as error:
                log.warning("cannot_receive", extra={"topic": self._topic.name, "reason": str(error)[:200]})
                await asyncio.sleep(_PAUSE)
                continue
            if message is not None:
                task = asyncio.create_task(self._take(message))
                in_hand.add(task)
                task.add_done_callback(in_hand.discard)
        if in_hand:
            _, unfinished = await asyncio.wait(in_hand, timeout=drain)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def _take(self, message: Message) -> None:
        with self._liveness.at_work(self._topic.name):
            await deliver(message, self._topic, self._handle, self._publisher, keep_unreadable=self._keep_unreadable)
            await retry_while_unavailable(self._subscription.commit)(message)

    async def _handle(self, event: Event) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                await self._handler.handle(event)
                return
            except PermanentError:
                raise
            except Exception as error:
                log.exception(
                    "handler_failed", extra={"event": event.event, "event_id": event.event_id, "attempt": attempt}
                )
                if attempt == _TRIES:
                    await self._handler.fail(event, error)
            await asyncio.sleep(_PAUSE)


class Listener:
    """Hands every event of `topic` to `handle`, beside all groups; `ready` is set when nothing can be missed any more.

    What is published while Kafka is away is missed. Unreadable messages are passed over: a group's readers keep them.
    """

    def __init__(self, listen: Listen, topic: Topic, handle: Handle) -> None:
        self._listen, self._topic, self._handle = listen, topic, handle
        self._messages: Listened | None = None
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """For ever; outages are waited out."""
        await retry_while_unavailable(self._listen_once)()

    async def positions(self) -> Mapping[Partition, ReadPosition]:
        """Where it stands."""
        return {} if self._messages is None else await self._messages.positions()

    async def _listen_once(self) -> None:
        async with self._listen() as messages:
            self._messages = messages
            self.ready.set()
            try:
                async for message in messages:
                    try:
                        event = decode(self._topic, message.value)
                    except PermanentError:
                        continue
                    await self._handle(event)
            finally:
                self._messages = None
