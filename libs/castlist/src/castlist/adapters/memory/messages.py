"""Messages in memory: partitions, groups and their rebalancing."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from castlist.contract.codec import encode
from castlist.contract.events import Event
from castlist.contract.topics import TOPICS, Topic, topic_of
from castlist.ports.dead_letters import MAX_MESSAGE, cut, dead_letter
from castlist.ports.errors import MessageTooLargeError
from castlist.ports.messages import Message, Publisher, Subscription

_Place = tuple[str, int]


class MemoryLog:
    """The declared topics and their dead letters."""

    def __init__(self, topics: Sequence[Topic] = TOPICS) -> None:
        self._partitions: dict[str, list[list[Message]]] = {}
        for topic in topics:
            self._partitions[topic.name] = [[] for _ in range(topic.partitions)]
            self._partitions[topic.dead] = [[]]
        self._groups: dict[str, _Group] = {}
        self._news = asyncio.Event()

    def publisher(self) -> "MemoryPublisher":
        """Writes to this log."""
        return MemoryPublisher(self)

    def messages(self, topic: str) -> list[Message]:
        """Everything that lies in a topic, partition by partition."""
        return [message for partition in self._partitions[topic] for message in partition]

    @asynccontextmanager
    async def subscribe(
        self, topics: Sequence[Topic], group: str, member: str | None = None
    ) -> AsyncIterator["MemorySubscription"]:
        """Be a member of `group` while inside."""
        joined = self._groups.setdefault(group, _Group())
        subscription = MemorySubscription(self, joined, [topic.name for topic in topics])
        joined.members.append(subscription)
        self._rebalance(joined)
        try:
            yield subscription
        finally:
            joined.members.remove(subscription)
            subscription.assign(set())
            self._rebalance(joined)

    @asynccontextmanager
    async def listen(self, topic: Topic) -> AsyncIterator[AsyncIterator[Message]]:
        """Every message of `topic` from now on, beside all other readers."""
        positions = [len(partition) for partition in self._partitions[topic.name]]

        async def messages() -> AsyncIterator[Message]:
            while True:
                news = self._news
                for number, partition in enumerate(self._partitions[topic.name]):
                    while positions[number] < len(partition):
                        positions[number] += 1
                        yield partition[positions[number] - 1]
                await news.wait()

        yield messages()

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

    def at(self, place: _Place, offset: int) -> Message | None:
        """The message at `offset`, or None if it is not written yet."""
        partition = self._partitions[place[0]][place[1]]
        return partition[offset] if offset < len(partition) else None

    def _rebalance(self, group: "_Group") -> None:
        assigned: dict[int, set[_Place]] = {id(member): set() for member in group.members}
        for topic in sorted({topic for member in group.members for topic in member.topics}):
            readers = [member for member in group.members if topic in member.topics]
            for number in range(len(self._partitions[topic])):
                assigned[id(readers[number % len(readers)])].add((topic, number))
        for member in group.members:
            member.assign(assigned[id(member)])
        self.tell()


class _Group:
    def __init__(self) -> None:
        self.committed: dict[_Place, int] = {}
        self.members: list[MemorySubscription] = []


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

    def __init__(self, log: MemoryLog, group: _Group, topics: Sequence[str]) -> None:
        self._log, self._group, self.topics = log, group, tuple(topics)
        self._assigned: list[_Place] = []
        self._held: dict[_Place, int] = {}

    def assign(self, places: set[_Place]) -> None:
        """Own these partitions from now on; what is held elsewhere is forgotten."""
        self._assigned = sorted(places)
        self._held = {place: offset for place, offset in self._held.items() if place in places}

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
            offset = self._group.committed.get(place, 0)
            if place not in self._held and (message := self._log.at(place, offset)) is not None:
                self._held[place] = offset
                # The others come first next time.
                self._assigned.remove(place)
                self._assigned.append(place)
                return message
        return None

    async def commit(self, message: Message) -> None:
        place = (message.topic, message.partition)
        if self._held.get(place) == message.offset:
            del self._held[place]
            self._group.committed[place] = message.offset + 1
            self._log.tell()
