"""One message: what goes wrong about it is dealt with, told, and kept; it ends nothing and keeps nobody waiting."""

import asyncio
from collections.abc import Callable

import pytest

from castlist.adapters.memory import MemoryLog
from castlist.contract.codec import encode
from castlist.contract.errors import PermanentError
from castlist.contract.events import ChunkFailed, Event, FacesEncoded
from castlist.contract.topics import FACE_ENCODINGS
from castlist.messaging.consumer import Consumer
from castlist.messaging.delivery import Handler, deliver
from castlist.messaging.liveness import Liveness
from castlist.ports.errors import DocumentTooLargeError, UnavailableError
from castlist.ports.messages import Message
from testkit.eventually import eventually_async
from testkit.examples import example


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further try follows at once."""
    monkeypatch.setattr("castlist.messaging.delivery._PAUSE", 0.0)


class Failing(Handler):
    """Raises what it is told to, each time it is called; what it did in the end, and how often it was asked."""

    def __init__(self, handling: Callable[[int], Exception | None], telling: Exception | None = None) -> None:
        self._handling, self._telling = handling, telling
        self.handled = 0
        self.failed: list[str] = []

    async def handle(self, event: Event) -> None:
        """Raise, if there is something to raise at this call."""
        self.handled += 1
        if error := self._handling(self.handled):
            raise error

    async def fail(self, event: Event, error: Exception) -> None:
        """Remember it."""
        self.failed.append(repr(error))
        if self._telling is not None:
            raise self._telling


def message(value: bytes) -> Message:
    """As it lies in the topic."""
    return Message(FACE_ENCODINGS.name, 1, 2, b"video-1", value)


async def delivered(handler: Handler, value: bytes = encode(example(ChunkFailed))) -> list[str]:
    """Deliver one message; the reasons of its dead letters."""
    log = MemoryLog()
    await deliver(message(value), FACE_ENCODINGS, handler, log.publisher())
    return [dict(letter.headers)["error"].decode() for letter in log.messages(FACE_ENCODINGS.dead)]


async def test_a_mistake_is_tried_again_and_then_given_up() -> None:
    """Three times in all; the one whose work it was is told, and the message is a dead letter with the reason."""
    handler = Failing(lambda call: ValueError("no such face"))
    assert await delivered(handler) == ["internal: ValueError: no such face"]
    assert (handler.handled, handler.failed) == (3, ["ValueError('no such face')"])


async def test_a_mistake_that_passes_is_none() -> None:
    """It is handled at the next try."""
    handler = Failing(lambda call: ValueError("for now") if call == 1 else None)
    assert await delivered(handler) == []
    assert (handler.handled, handler.failed) == (2, [])


async def test_what_no_server_takes_is_given_up_at_once() -> None:
    """A document that is too large now is so later."""
    handler = Failing(lambda call: DocumentTooLargeError("chunks v:1:0:0: 17000000 bytes"))
    assert await delivered(handler) == ["internal: DocumentTooLargeError: chunks v:1:0:0: 17000000 bytes"]
    assert (handler.handled, len(handler.failed)) == (1, 1)


async def test_a_server_that_is_away_is_waited_for() -> None:
    """However long; it never counts as a try."""
    handler = Failing(lambda call: UnavailableError("away") if call < 6 else None)
    assert await delivered(handler) == []
    assert (handler.handled, handler.failed) == (6, [])


async def test_a_refusal_was_dealt_with() -> None:
    """Its reason is that of the dead letter; nobody is told again."""
    handler = Failing(lambda call: PermanentError("another object already"))
    assert await delivered(handler) == ["another object already"]
    assert (handler.handled, handler.failed) == (1, [])


async def test_a_failure_that_cannot_be_told_keeps_nobody_waiting() -> None:
    """The message is a dead letter all the same."""
    handler = Failing(lambda call: ValueError("no such face"), telling=KeyError("no such task"))
    assert await delivered(handler) == ["internal: ValueError: no such face"]


HOSTILE = {
    "17 MB that compressed well": encode(example(ChunkFailed))[:-1] + b', "more": "' + b"a" * 17_000_000 + b'"}',
    "nested deeply": encode(example(ChunkFailed))[:-1] + b', "more": ' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "nested deeply and open": b"[" * 1_000_000,
    "half a character": encode(example(ChunkFailed)).replace(b"unreadable", b"\\ud800"),
    "times beyond all": encode(example(FacesEncoded)).replace(b'"time":1.5', b'"time":1e308'),
    "20 million parts": encode(example(FacesEncoded)).replace(b'"parts":1', b'"parts":20000000'),
    "none": b"",
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_cannot_be_read_reaches_no_handler(value: bytes) -> None:
    """It is a dead letter, cut where it is too large to be sent."""
    handler = Failing(lambda call: None)
    assert len(await delivered(handler, value)) == 1
    assert handler.handled == 0


async def test_those_behind_a_spoiled_message_are_handled() -> None:
    """By the same consumer, in the same partition; each message is acknowledged."""
    log, stopping = MemoryLog(), asyncio.Event()
    publisher = log.publisher()
    for value in (*HOSTILE.values(), encode(example(ChunkFailed))):
        if len(value) < 1_048_576:
            await publisher.publish_raw(FACE_ENCODINGS.name, b"video-1", value)
    handled = []

    class Last(Handler):
        async def handle(self, event: Event) -> None:
            handled.append(event.event)

        async def fail(self, event: Event, error: Exception) -> None:
            raise AssertionError

    async with log.subscribe([FACE_ENCODINGS], "g") as subscription:
        consumer = Consumer(subscription, FACE_ENCODINGS, Last(), publisher, Liveness(), each=1)
        running = asyncio.create_task(consumer.run(stopping, drain=5.0))
        await eventually_async(lambda: handled and len(log.messages(FACE_ENCODINGS.dead)) == len(HOSTILE) - 1, 20)
        stopping.set()
        await running
        assert await subscription.receive(0.01) is None
    assert handled == ["ChunkFailed"]
