"""Obey `video.control`: a cancel stops what is running here within moments."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from castlist.contract.codec import Poison, decode
from castlist.contract.commands import CancelVideo
from castlist.contract.ids import attempt_key
from castlist.contract.topics import VIDEO_CONTROL
from castlist.ports.messages import Message
from castlist.tasks import cancels
from frame_workers.context import Workshop

Listen = Callable[[], AbstractAsyncContextManager[AsyncIterator[Message]]]


async def obey(listen: Listen, shop: Workshop, ready: asyncio.Event) -> None:
    """Runs for ever; `ready` is set when nothing can be missed any more.

    What is missed while Kafka is away, the running chunks notice themselves: they look whether they are wanted.
    """

    async def once() -> None:
        async with listen() as messages:
            ready.set()
            async for message in messages:
                await _obey(message, shop)

    await shop.pulse.outlast(once)


async def _obey(message: Message, shop: Workshop) -> None:
    try:
        cancel = decode(VIDEO_CONTROL, message.value)
    except Poison:
        return  # the aggregator reads this topic too, and buries it
    if isinstance(cancel, CancelVideo):
        epoch = await shop.pulse.outlast(lambda: cancels.resolve_cancel(shop.documents, cancel, shop.clock()))
        shop.running.stop(attempt_key(cancel.video_id, epoch))
