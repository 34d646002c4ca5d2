"""What a service does again and again beside answering and consuming."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from castlist.ports.errors import UnavailableError

log = logging.getLogger(__name__)


async def every(seconds: float, step: Callable[[], Awaitable[bool | None]], name: str) -> None:
    """Do `step` for ever, with a pause after it; at once again where it returns True: there is more to do.

    A server that is away, or a bug, is logged under `name` and costs one round.
    """
    while True:
        more: bool | None = False
        try:
            more = await step()
        except UnavailableError as error:
            log.warning("round_postponed", extra={"step": name, "reason": str(error)[:200]})
        except Exception:
            log.exception("round_failed", extra={"step": name})
        if not more:
            await asyncio.sleep(seconds)


@asynccontextmanager
async def in_background(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """`loops` run while inside."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
