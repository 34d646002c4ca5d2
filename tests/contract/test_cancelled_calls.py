"""A cancel that meets a call in the moment it returns is not lost: the task that was cancelled ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from contract.conftest import Log

MOMENTS = 40


async def _cancelled_at_every_moment(call: Callable[[], Coroutine[Any, Any, object]]) -> int:
    """Cancel `call` after 0, 1, 2… turns of the loop; returns how often it was still running then."""
    met = 0
    for turns in range(MOMENTS):
        running = asyncio.create_task(call())
        for _ in range(turns):
            await asyncio.sleep(0)
        if running.cancel():
            met += 1
            with pytest.raises(asyncio.CancelledError):
                await running
    return met


async def test_a_cancelled_publish_is_cancelled(log: Log) -> None:
    """At whatever moment, and the publisher is none the worse for it."""
    topic = log.topics[0].name
    await log.publisher.publish_raw(topic, b"k", b"first")
    assert await _cancelled_at_every_moment(lambda: log.publisher.publish_raw(topic, b"k", b"cut off"))
    await log.publisher.publish_raw(topic, b"k", b"last")
    values = [message.value for message in await log.read(topic)]
    assert (values[0], values[-1]) == (b"first", b"last")


@pytest.mark.parametrize("log", [pytest.param("real", marks=pytest.mark.stack)], indirect=True)
async def test_a_publish_cancelled_as_its_acknowledgement_comes_is_cancelled(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very moment: the brokers' answer has arrived, and the publisher has not gone on yet."""
    await log.publisher.publish_raw(log.topics[0].name, b"k", b"first")
    producer = log.publisher._producer  # type: ignore[attr-defined]
    send, acknowledged = producer.send, 0

    async def watched(*args: Any, **how: Any) -> Any:
        ack = await send(*args, **how)

        def cancel(_: Any) -> None:
            nonlocal acknowledged
            acknowledged += 1
            publishing.cancel()

        ack.add_done_callback(cancel)
        return ack

    monkeypatch.setattr(producer, "send", watched)
    publishing = asyncio.create_task(log.publisher.publish_raw(log.topics[0].name, b"k", b"second"))
    with pytest.raises(asyncio.CancelledError):
        await publishing
    assert acknowledged == 1
    assert [message.value for message in await log.read(log.topics[0].name)] == [b"first", b"second"]


async def test_a_cancelled_receive_and_commit_are_cancelled(log: Log) -> None:
    """And a message that no call returned, or that was not committed, comes again to the next member."""
    topic = log.topics[0]
    await log.publisher.publish_raw(topic.name, b"k", b"only")
    async with log.subscribe([topic], "g") as subscription:
        message = await subscription.receive(20)
        assert message is not None
        assert await _cancelled_at_every_moment(lambda: subscription.receive(5)) == MOMENTS
        committing = asyncio.create_task(subscription.commit(message))
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
    async with log.subscribe([topic], "g") as subscription:
        again = await subscription.receive(20)
    assert again == message
