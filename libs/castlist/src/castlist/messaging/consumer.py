"""The loop around a handler: receive, decode, handle, acknowledge; fairly between galleries.

Whatever the handlers do, the loop goes on receiving: Kafka takes the work away from a consumer that does not. It reads
ahead, so that what lies in a partition behind the messages of a busy gallery need not wait for them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from castlist.contract.codec import decode
from castlist.contract.errors import PermanentError
from castlist.contract.events import Event
from castlist.contract.topics import Topic
from castlist.messaging.delivery import Handler, LeftToOthersError, PostponedError, deliver
from castlist.messaging.fair_queue import FairQueue, Turn
from castlist.messaging.liveness import Liveness
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Listened, Message, Partition, Publisher, ReadPosition, Subscription
from castlist.retry import retry_while_unavailable

log = logging.getLogger(__name__)
_POLL = 0.5
_PAUSE = 1.0
_GALLERIES_AT_ONCE = 16

Handle = Callable[[Event], Awaitable[None]]
Listen = Callable[[], AbstractAsyncContextManager[Listened]]


class Consumer:
    """Takes what a subscription has, each message in a task of its own, and acknowledges what is done.

    At most `each` messages of a gallery are worked on at once; with `in_order` only one about a video, in the order in
    which they came. `keep_unreadable` as in `deliver`.
    """

    def __init__(
        self,
        subscription: Subscription,
        topic: Topic,
        handler: Handler,
        publisher: Publisher,
        liveness: Liveness,
        *,
        each: int,
        in_order: bool = False,
        keep_unreadable: bool = True,
    ) -> None:
        self._subscription, self._topic, self._handler = subscription, topic, handler
        self._publisher, self._liveness, self._keep_unreadable = publisher, liveness, keep_unreadable
        self._waiting = FairQueue[Message](each)
        self._in_order = in_order
        self._behind: dict[str, deque[tuple[Turn, Message]]] = {}
        """by video, with one that waits or is in hand: what came after it"""
        self._in_hand: set[asyncio.Task[None]] = set()
        self._most = each * _GALLERIES_AT_ONCE
        self._stopping = False
        self.left_to_others: LeftToOthersError | None = None
        """Why it ended by itself: it is no use to its group here."""

    async def run(self, stopping: asyncio.Event, drain: float) -> None:
        """Until `stopping`, or a message is left to others; then what is in hand gets `drain` seconds, and the rest is
        left for another process."""
        while not stopping.is_set() and self.left_to_others is None:
            try:
                message = await self._subscription.receive(_POLL)
            except UnavailableError as error:
                log.warning("cannot_receive", extra={"topic": self._topic.name, "reason": str(error)[:200]})
                await asyncio.sleep(_PAUSE)
                continue
            if message is not None:
                self._admit(self._turn(message), message)
                self._begin()
        self._stopping = True
        if self._in_hand:
            _, unfinished = await asyncio.wait(self._in_hand, timeout=drain)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    def _turn(self, message: Message) -> Turn:
        try:
            event = decode(self._topic, message.value)
        except PermanentError:
            return Turn("", "")
        return Turn(getattr(event, "gallery", ""), getattr(event, "video_id", ""))

    def _admit(self, turn: Turn, message: Message) -> None:
        if not self._in_order:
            self._waiting.put(turn, message)
        elif (behind := self._behind.get(turn.video)) is not None:
            behind.append((turn, message))
        else:
            self._behind[turn.video] = deque()
            self._waiting.put(turn, message)

    def _admit_following(self, video: str) -> None:
        if self._in_order and (behind := self._behind[video]):
            self._waiting.put(*behind.popleft())
        else:
            self._behind.pop(video, None)

    def _begin(self) -> None:
        while not self._stopping and len(self._in_hand) < self._most and (following := self._waiting.take()):
            task = asyncio.create_task(self._take(*following))
            self._in_hand.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        self._begin()

    async def _take(self, turn: Turn, message: Message) -> None:
        try:
            if self._subscription.holds(message):  # while it waited it may have become another member's
                await self._deliver(message)
        except PostponedError as postponed:
            self._waiting.put(replace(turn, tries=postponed.tries), message)
        except LeftToOthersError as error:
            self.left_to_others, self._stopping = error, True
        else:
            self._admit_following(turn.video)
        finally:
            self._waiting.done(turn)

    async def _deliver(self, message: Message) -> None:
        with self._liveness.at_work(self._topic.name):
            await deliver(message, self._topic, self._handler, self._publisher, keep_unreadable=self._keep_unreadable)
            await retry_while_unavailable(self._subscription.commit)(message)


class Listener:
    """Hands every event of `topic` to `handle`, beside all groups; `ready` is set when nothing can be missed any more.

    What is published while Kafka is away is missed. Unreadable messages, and those that `handle` fails over, are passed
    over: a group's readers keep them.
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
                    try:
                        await self._handle(event)
                    except UnavailableError:
                        raise
                    except Exception:
                        log.exception("handler_failed", extra={"event": event.event, "event_id": event.event_id})
            finally:
                self._messages = None
