"""Doing what does not wait for each other at the same time."""

import asyncio
from collections.abc import Awaitable


async def concurrently(*work: Awaitable[object]) -> None:
    """Returns when each has ended, and raises the first error then: nothing is still under way when it is repeated."""
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
