"""Castlist in memory: what outlives its processes (MongoDB, S3, Kafka), the processes, and what is left in the end.

Events reach handlers as bytes, and dead letters where they belong, as in the services.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from castlist.adapters.memory import MemoryDocuments, MemoryLog, MemoryObjects
from castlist.children.child import Bounds, JobRunner
from castlist.children.messages import JobMessage
from castlist.contract.codec import decode, encode
from castlist.contract.events import Event
from castlist.contract.topics import BY_NAME, TOPICS, topic_of
from castlist.messaging.delivery import Handler, PostponedError, deliver
from castlist.messaging.fair_queue import Turn
from castlist.messaging.liveness import Liveness
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.ports.documents import Documents
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Message
from castlist.store.collections import COLLECTIONS
from castlist.store.query import eq
from castlist.store.records.outbox import GalleryLogRecord, OutboxRecord
from castlist.store.store import Store
from frame_workers import settings as worker_settings
from frame_workers.attempts import Attempts
from frame_workers.context import WorkerContext
from frame_workers.object_cache import ObjectCache
from frame_workers.running_jobs import RunningJobs
from frame_workers.slots.pool import Slots
from testkit.faults import DiedError, Faults

Handle = Callable[[Any], Awaitable[None]]
Start = Callable[[], Mapping[type[Event], Handle]]
Job = Callable[[JobMessage], JobMessage]


class InMemory:
    """The servers. Each process that is made with `faults` may fail at any call.

    `documents`: those of a real server in the place of those in memory.
    """

    def __init__(self, faults: Faults | None = None, documents: Documents | None = None) -> None:
        self.faults = faults or Faults()
        self._documents: Documents = documents or MemoryDocuments()
        self._objects, self._log = MemoryObjects("castlist"), MemoryLog()
        self.documents, self.objects = self.faults.around(self._documents), self.faults.around(self._objects)
        self.publisher, self.eraser = self.faults.around(self._log.publisher()), self.faults.around(self._log)
        self.store = Store(self.documents)
        self.stored = Store(self._documents)
        """what lies there, without faults: for tests"""
        self.bucket, self.log = self._objects, self._log
        self.now = datetime(2026, 1, 2, tzinfo=UTC)
        self._processes = itertools.count()

    def clock(self) -> datetime:
        """A second later each time."""
        self.now += timedelta(seconds=1)
        return self.now

    def relay(self) -> OutboxRelay:
        """A relay of all topics."""
        return OutboxRelay(self.store, self.publisher, self.clock, TOPICS)

    def published(self, topic: str) -> list[Event]:
        """What lies in a topic, each event once."""
        events = [decode(BY_NAME[topic], message.value) for message in self.messages(topic)]
        return list({event.event_id: event for event in events}.values())

    def messages(self, topic: str) -> list[Message]:
        """What lies in a topic, with repetitions."""
        return self._log.messages(topic)

    def dead_letters(self) -> list[str]:
        """What became a dead letter: each topic with the reason."""
        letters = [(topic.name, letter) for topic in TOPICS for letter in self._log.messages(topic.dead)]
        return sorted({f"{topic}: {dict(letter.headers)['error'].decode()}" for topic, letter in letters})

    async def left(self, *, without: Iterable[str] = ()) -> dict[str, Any]:
        """All that lies in MongoDB, S3 and Kafka in the end, without what differs from one undisturbed run to the next:
        moments, random names, and the order in which things came to be."""
        hidden = {"outbox", "gallery_log", *without}
        left: dict[str, Any] = _plain(
            {
                "documents": {
                    collection.name: {one["_id"]: one for one in await self._documents.find(collection.name, {})}
                    for collection in COLLECTIONS
                    if collection.name not in hidden
                },
                "objects": [info.key for info in await self._objects.list("")],
                "events": {
                    topic.name: {event.event_id: event.model_dump() for event in self.published(topic.name)}
                    for topic in TOPICS
                },
                "dead letters": self.dead_letters(),
                "unpublished": [
                    *await self.stored.outbox.ids(eq(OutboxRecord.published_at, None)),
                    *await self.stored.gallery_log.ids(eq(GalleryLogRecord.published_at, None)),
                ],
            }
        )
        return left

    async def deliver(self, start: Start, *events: Event) -> None:
        """Each event to the process that `start` makes, until it is dealt with; a process that dies is started anew."""
        handlers = start()
        for event in events:
            topic = topic_of(event)
            message = Message(topic.name, 0, 0, topic.key(event).encode(), encode(event))
            handled = False
            while not handled:
                try:
                    await deliver(message, topic, _Strict(handlers), self.publisher)
                    handled = True
                except PostponedError:
                    continue
                except DiedError:
                    self.faults.restart()
                    handlers = start()

    async def repeat(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """What `step` returns, tried until it succeeds, by a process that is started anew where it died."""
        while True:
            try:
                return await step()
            except UnavailableError:
                pass
            except DiedError:
                self.faults.restart()

    def worker(self, cache: Path, **settings: Any) -> WorkerContext:
        """What the handlers of one frame-workers process work with."""
        return WorkerContext(
            settings=worker_settings.Settings(workers=1, **settings),
            store=self.store,
            objects=self.objects,
            publisher=self.publisher,
            cache=ObjectCache(cache, 0, self.objects),
            attempts=Attempts(self.store, f"process {next(self._processes)}", self.clock),
            running=RunningJobs(),
            liveness=Liveness(),
            clock=self.clock,
        )


class MistakeError(BaseException):
    """A handler raised what it must not, again and again. It is no Exception, so nothing catches it."""


class _Strict(Handler):
    def __init__(self, handlers: Mapping[type[Event], Handle]) -> None:
        self._handlers = handlers

    async def handle(self, event: Event) -> None:
        await self._handlers[type(event)](event)

    async def fail(self, event: Event, error: Exception) -> None:
        raise MistakeError(event.event) from error


_RANDOM = re.compile(r"[0-9a-f]{32}")


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {_plain(key): _plain(one) for key, one in value.items() if not isinstance(one, datetime)}
        case list() | tuple():
            return [_plain(one) for one in value]
        case str():
            return _RANDOM.sub("…", value)
        case _:
            return value


class InlineSlots(Slots):
    """Slots whose child is a function of this process."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.given: list[tuple[Turn, Bounds]] = []
        """for whom each job was, and what it was allowed to take"""

    @asynccontextmanager
    async def slot(self, turn: Turn) -> AsyncIterator[JobRunner]:
        yield _Inline(self, turn)

    async def run(self, order: JobMessage) -> JobMessage:
        """The result of one job."""
        await asyncio.sleep(0)
        return self._job(order)


class _Inline(JobRunner):
    cpu_seconds = 0.0

    def __init__(self, slots: InlineSlots, turn: Turn) -> None:
        self._slots, self._turn = slots, turn

    async def run(self, order: JobMessage, bounds: Bounds, progress: Callable[[float], None]) -> JobMessage:
        self._slots.given.append((self._turn, bounds))
        return await self._slots.run(order)

    async def kill(self) -> None:
        return None
