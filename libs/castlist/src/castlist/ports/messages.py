"""The log of messages: the part of Kafka that a service relies on."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from castlist.contract.events import Event
from castlist.contract.topics import Topic


@dataclass(frozen=True)
class Message:
    """A message as it lies in the log."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = field(default=())


Partition = tuple[str, int]
"""A topic, and the number of one of its partitions."""


@dataclass(frozen=True)
class ReadPosition:
    """Where a reader stands in a partition.

    `offset`: of the next message that it has not taken; None while that is not known. `in_hand`: it has taken as much
    as it may, so that it may take its time.
    """

    offset: int | None
    in_hand: bool = False


class Publisher(Protocol):
    """Writes to the log; returns when the brokers have it for good. Idempotent within a process.

    MessageTooLargeError for a message over the log's limit. A message has a key or a value.
    """

    async def publish(self, *events: Event) -> None:
        """Each to its topic under its key; in order within a key."""
        ...

    async def publish_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None: ...

    async def publish_entries(self, entries: Sequence[tuple[str, bytes, bytes]]) -> None:
        """(topic, key, value) each, as `publish_raw` in this order, but waiting only once."""
        ...

    async def publish_dead_letter(self, message: Message, reason: str) -> None:
        """The raw message into its topic's dead letters, the reason and where it came from in the headers.

        One too large to be sent is cut, and a header `truncated_from` says how long it was.
        """
        ...

    async def ping(self) -> None: ...


class Subscription(Protocol):
    """Messages of some topics for one member of a group, those of a partition in order.

    A partition gives no further message while so many of its messages are ahead of the first that is not committed as
    the subscription allows. What is not committed, and perhaps what was committed behind it, is handed out again after
    a rebalance or a crash, to the member that owns the partition then.
    """

    async def receive(self, timeout: float) -> Message | None:
        """The next message, or None after `timeout` seconds."""
        ...

    def holds(self, message: Message) -> bool:
        """Whether it is still this member's to work on: it was handed out, is not committed, and has not moved."""
        ...

    async def commit(self, message: Message) -> None:
        """Done with this one, in any order. Without effect if the partition has moved to another member."""
        ...

    async def positions(self) -> Mapping[Partition, ReadPosition]:
        """Of the partitions that are ours; where we have none, of all of the topics', as the group has them."""
        ...


class Listened(Protocol):
    """Every message of a topic from a moment on, beside all other readers."""

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message: ...

    async def positions(self) -> Mapping[Partition, ReadPosition]:
        """Of all partitions of the topic."""
        ...


class LogObserver(Protocol):
    """Looks at the log from outside, whatever our readers believe."""

    async def bounds(self, partitions: Iterable[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """Of each partition the offset of its first message, and of the one that comes next."""
        ...

    async def has_message(self, partition: Partition, offset: int) -> bool:
        """Whether a message lies at `offset` or behind it: what is there may also be marks of transactions."""
        ...


class LogEraser(Protocol):
    """Takes messages out of the log before their time."""

    async def ends(self, topics: Sequence[Topic]) -> Mapping[Partition, int]:
        """Of each partition of these the offset of the message that comes next."""
        ...

    async def erase_read(self, ends: Mapping[Partition, int]) -> Collection[Partition]:
        """Take away what lies before these offsets, as far as every group that reads there has read it. Returns where
        something is left of it: what nobody has read stays."""
        ...


AHEAD = 1000
"""How many messages of a partition may be ahead of the first that is not committed."""
