"""While a chunk is being worked through: tell how far it is, and notice when nobody wants it any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from castlist.contract import events
from castlist.contract.ids import attempt_key, chunk_key, event_id
from castlist.ports.errors import Unavailable
from frame_workers.context import Workshop
from frame_workers.running_jobs import Stopped

_EVERY = 1.0


@asynccontextmanager
async def reporting(shop: Workshop, chunk: events.ChunkPlanned) -> AsyncIterator[Callable[[float], None]]:
    """What to call with 0 to 1 as the work goes on. It never fails: nothing depends on what is told."""
    reached, over = 0.0, False

    def progress(fraction: float) -> None:
        nonlocal reached
        reached = min(1.0, max(reached, fraction))

    async def tell() -> None:
        told = 0.0
        while not over:
            await asyncio.sleep(_EVERY)
            if reached > told:
                told = reached
                with contextlib.suppress(Unavailable):
                    # What is under way is not torn when the chunk ends meanwhile.
                    await asyncio.shield(shop.publisher.publish(_progressed(chunk, told, shop)))

    async def look() -> None:
        while not over:
            await asyncio.sleep(_EVERY)
            shop.pulse.beat()  # within its bounds: the pool ends the job otherwise
            try:
                await shop.ensure_wanted(chunk.video_id, chunk.epoch)
            except Stopped:
                shop.running.stop(attempt_key(chunk.video_id, chunk.epoch))
            except Unavailable:
                continue

    background = [asyncio.create_task(tell()), asyncio.create_task(look())]
    try:
        yield progress
    finally:
        # A library below may swallow a cancel that comes in the moment its call returns; `over` ends them all the same.
        over = True
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)


def _progressed(chunk: events.ChunkPlanned, fraction: float, shop: Workshop) -> events.ChunkProgressed:
    key = chunk_key(chunk.video_id, chunk.epoch, chunk.chunk)
    return events.ChunkProgressed(
        event_id=event_id("ChunkProgressed", key, f"{fraction:.4f}"),
        occurred_at=shop.clock(),
        video_id=chunk.video_id,
        epoch=chunk.epoch,
        gallery=chunk.gallery,
        chunk=chunk.chunk,
        fraction=fraction,
    )
