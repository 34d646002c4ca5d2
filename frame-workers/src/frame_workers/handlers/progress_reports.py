"""While a chunk is being worked through: tell how far it is, and notice when its result is not wanted any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from castlist.contract.events import ChunkPlanned, ChunkProgressed
from castlist.contract.ids import chunk_key, event_id, run_key
from castlist.ports.errors import UnavailableError
from frame_workers.context import WorkerContext
from frame_workers.running_jobs import RunCancelledError

_EVERY = 1.0


@asynccontextmanager
async def reported(
    context: WorkerContext, chunk: ChunkPlanned, every: float = _EVERY
) -> AsyncIterator[Callable[[float], None]]:
    """What to call with 0 to 1 as the work goes on. It never fails: nothing depends on what is told."""
    reached, over = 0.0, False

    def progress(fraction: float) -> None:
        nonlocal reached
        reached = min(1.0, max(reached, fraction))

    async def tell() -> None:
        told = 0.0
        while not over:
            await asyncio.sleep(every)
            if reached > told:
                told = reached
                with contextlib.suppress(UnavailableError):
                    # What is under way is not torn when the chunk ends meanwhile.
                    await asyncio.shield(context.publisher.publish(_progressed(chunk, told, context)))

    async def look() -> None:
        while not over:
            await asyncio.sleep(every)
            context.liveness.beat()  # within its bounds: the pool ends the job otherwise
            try:
                await context.ensure_wanted(chunk.video_id, chunk.epoch)
            except RunCancelledError:
                context.running.stop(run_key(chunk.video_id, chunk.epoch))
            except UnavailableError:
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


def _progressed(chunk: ChunkPlanned, fraction: float, context: WorkerContext) -> ChunkProgressed:
    key = chunk_key(chunk.video_id, chunk.epoch, chunk.chunk)
    return ChunkProgressed(
        event_id=event_id("ChunkProgressed", key, f"{fraction:.4f}"),
        occurred_at=context.clock(),
        video_id=chunk.video_id,
        epoch=chunk.epoch,
        gallery=chunk.gallery,
        chunk=chunk.chunk,
        fraction=fraction,
    )
