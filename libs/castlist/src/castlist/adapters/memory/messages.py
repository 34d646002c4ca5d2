"""Messages in memory: partitions, groups and their rebalancing."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from castlist.contract.codec import encode
from castlist.contract.events import Event
from castlist.contract.topics import TOPICS, Topic, topic_of
from castlist.ports.dead_letters import MAX_MESSAGE, cut, dead_letter
from castlist.ports.errors import MessageTooLargeError
from castlist.ports.held_messages import HeldMessages
from castlist.ports.messages import (
    AHEAD,
    Listened,
    LogEraser,
    LogObserver,
    Message,
    Partition,
    Publisher,
    ReadPosition,
    Subscription,
)


class MemoryLog(LogObserver, LogEraser):
    """The declared topics and their dead letters. Nothing is removed from them but by an erasure."""

    def __init__(self, topics: Sequence[Topic] = TOPICS) -> None:
        self._partitions: dict[str, list[list[Message]]] = {}
        for topic in topics:
            self._partitions[topic.name] = [[] for _ in range(topic.partitions)]
            self._partitions[topic.dead] = [[]]
        self._groups: dict[str, _Group] = {}
        self._firsts: dict[Partition, int] = {}
        self._news = asyncio.Event()

    def publisher(self) -> "MemoryPublisher":
        """Writes to this log."""
        return MemoryPublisher(self)

    def messages(self, topic: str) -> list[Message]:
        """Everything that lies in a topic, partition by partition."""
        found = enumerate(self._partitions[topic])
        return [message for number, there in found for message in there[self._firsts.get((topic, number), 0) :]]

    @asynccontextmanager
    async def subscribe(
        self, topics: Sequence[Topic], group: str, member: str | None = None, ahead: int = AHEAD
    ) -> AsyncIterator["MemorySubscription"]:
        """Be a member of `group` while inside."""
        joined = self._groups.setdefault(group, _Group())
        subscription = MemorySubscription(self, joined, [topic.name for topic in topics], ahead)
        joined.members.append(subscription)
        self._rebalance(joined)
        try:
            yield subscription
        finally:
            joined.members.remove(subscription)
            subscription.assign(set())
            self._rebalance(joined)

    @asynccontextmanager
    async def listen(self, topic: Topic) -> AsyncIterator[Listened]:
        """Every message of `topic` from now on, beside all other readers."""
        yield MemoryListened(self, topic, [len(partition) for partition in self._partitions[topic.name]])

    async def bounds(self, partitions: Iterable[Partition]) -> Mapping[Partition, tuple[int, int]]:
        return {place: (self._firsts.get(place, 0), len(self._partitions[place[0]][place[1]])) for place in partitions}

    async def ends(self, topics: Sequence[Topic]) -> Mapping[Partition, int]:
        named = ((topic.name, self._partitions[topic.name]) for topic in topics)
        return {(name, number): len(there) for name, partitions in named for number, there in enumerate(partitions)}

    def firsts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where each of these begins."""
        return {place: self._firsts.get(place, 0) for place in partitions}

    async def erase_read(self, ends: Mapping[Partition, int]) -> Collection[Partition]:
        for place, end in ends.items():
            committed = [group.committed[place] for group in self._groups.values() if place in group.committed]
            first = self._firsts.get(place, 0)
            self._firsts[place] = max(first, min([end, *committed]) if committed else first)
        return [place for place, end in ends.items() if self._firsts[place] < end]

    async def has_message(self, partition: Partition, offset: int) -> bool:
        return self.at(partition, offset) is not None

    def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> None:
        """Write one message; keys decide partitions (not as Kafka does, but as steadily)."""
        if len(value or b"") > MAX_MESSAGE:
            raise MessageTooLargeError(f"{len(value or b'')} bytes for {topic}")
        number = zlib.crc32(key or b"") % len(self._partitions[topic])
        partition = self._partitions[topic][number]
        partition.append(Message(topic, number, len(partition), key, value, tuple(headers)))
        self.tell()

    def tell(self) -> None:
        """Wake those who wait: something was written, committed or assigned."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    @property
    def news(self) -> asyncio.Event:
        """Set when something changes after this was asked for."""
        return self._news

    def at(self, place: Partition, offset: int) -> Message | None:
        """The message at `offset`, or None if it is not written yet, or is erased."""
        partition = self._partitions[place[0]][place[1]]
        return partition[offset] if self._firsts.get(place, 0) <= offset < len(partition) else None

    def _rebalance(self, group: "_Group") -> None:
        assigned: dict[int, set[Partition]] = {id(member): set() for member in group.members}
        for topic in sorted({topic for member in group.members for topic in member.topics}):
            readers = [member for member in group.members if topic in member.topics]
            for number in range(len(self._partitions[topic])):
                assigned[id(readers[number % len(readers)])].add((topic, number))
        for member in group.members:
            member.assign(assigned[id(member)])
        self.tell()


class _Group:
    def __init__(self) -> None:
        self.committed: dict[Partition, int] = {}
        self.members: list[MemorySubscription] = []


class MemoryListened(Listened):
    """Reads from where the topic ended."""

    def __init__(self, log: MemoryLog, topic: Topic, offsets: list[int]) -> None:
        self._log, self._topic, self._offsets = log, topic, offsets

    async def __anext__(self) -> Message:
        while True:
            news = self._log.news
            for number, offset in enumerate(self._offsets):
                if (message := self._log.at((self._topic.name, number), offset)) is not None:
                    self._offsets[number] += 1
                    return message
            await news.wait()

    async def positions(self) -> Mapping[Partition, ReadPosition]:
        return {(self._topic.name, number): ReadPosition(offset) for number, offset in enumerate(self._offsets)}


class MemoryPublisher(Publisher):
    """Writes at once."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def publish(self, *events: Event) -> None:
        for event in events:
            topic = topic_of(event)
            self._log.append(topic.name, topic.key(event).encode(), encode(event), ())

    async def publish_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        self._log.append(topic, key, value, headers)

    async def publish_entries(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
        for topic, key, value in entries:
            self._log.append(topic, key, value, ())

    async def publish_dead_letter(self, message: Message, reason: str) -> None:
        letter = dead_letter(message, reason)
        try:
            self._log.append(letter.topic, letter.key, letter.value, letter.headers)
        except MessageTooLargeError:
            letter = cut(letter)
            self._log.append(letter.topic, letter.key, letter.value, letter.headers)

    async def ping(self) -> None:
        return None


class MemorySubscription(Subscription):
    """One member of a group. What is not held begins where the group has committed."""

    def __init__(self, log: MemoryLog, group: _Group, topics: Sequence[str], ahead: int) -> None:
        self._log, self._group, self.topics, self._ahead = log, group, tuple(topics), ahead
        self._assigned: list[Partition] = []
        self._held: dict[Partition, HeldMessages] = {}
        self._next_offset: dict[Partition, int] = {}

    def assign(self, places: set[Partition]) -> None:
        """Own these partitions from now on; what is held elsewhere is forgotten."""
        self._assigned = sorted(places)
        self._held = {place: self._held.get(place, HeldMessages()) for place in self._assigned}
        firsts = self._log.firsts(self._assigned)
        self._next_offset = {place: max(self._group.committed.get(place, 0), firsts[place]) for place in self._assigned}

    async def receive(self, timeout: float) -> Message | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while True:
                    news = self._log.news
                    if (message := self._next()) is not None:
                        return message
                    await news.wait()
        return None

    def _next(self) -> Message | None:
        for place in self._assigned:
            held = self._held[place]
            while len(held) < self._ahead and (message := self._log.at(place, self._next_offset[place])) is not None:
                self._next_offset[place] += 1
                if held.add(message):
                    # The others come first next time.
                    self._assigned.remove(place)
                    self._assigned.append(place)
                    return message
        return None

    def holds(self, message: Message) -> bool:
        held = self._held.get((message.topic, message.partition))
        return held is not None and held.holds(message)

    async def commit(self, message: Message) -> None:
        place = (message.topic, message.partition)
        held = self._held.get(place)
        if held is not None and held.done(message) and (offset := held.reached()) is not None:
            held.committed(offset)
            self._group.committed[place] = offset
            self._log.tell()

    async def positions(self) -> Mapping[Partition, ReadPosition]:
        return {
            place: ReadPosition(self._next_offset[place] if first is None else first, in_hand=first is not None)
            for place in self._assigned
            for first in (self._held[place].first,)
        }
