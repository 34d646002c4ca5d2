"""Trying again, with growing pauses, while a server is away."""

import asyncio
import functools
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, ParamSpec, TypeVar

from castlist.ports.errors import UnavailableError

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


def pauses(first: float = 0.05, longest: float = 2.0) -> Iterator[float]:
    """Seconds to wait before each further try, without end: doubled up to the longest, and never quite the same, so
    that those who failed together do not come back together."""
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1)
        pause = min(pause * 2, longest)


def retry_while_unavailable(step: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """`step`, done again and again while a server that it needs is away. It must be safe to repeat."""

    @functools.wraps(step)
    async def again(*args: P.args, **kwargs: P.kwargs) -> T:
        waits = pauses()
        while True:
            try:
                return await step(*args, **kwargs)
            except UnavailableError as error:
                name = getattr(step, "__qualname__", repr(step))
                log.warning("server_unavailable", extra={"step": name, "reason": str(error)[:200]})
            await asyncio.sleep(next(waits))

    return again
