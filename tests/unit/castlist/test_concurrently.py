"""Doing what does not wait for each other at the same time."""

import asyncio

import pytest

from castlist.concurrently import concurrently
from castlist.ports.errors import UnavailableError


async def test_all_are_begun_before_any_has_ended() -> None:
    """What takes turns would take the sum of their times."""
    both = asyncio.Barrier(2)
    async with asyncio.timeout(5):
        await concurrently(both.wait(), both.wait())


async def test_an_error_is_raised_once_nothing_is_under_way() -> None:
    """Repeated, a step must not meet what it began before."""
    ended: list[str] = []

    async def fails() -> None:
        raise UnavailableError("MongoDB is away")

    async def takes_longer() -> None:
        await asyncio.sleep(0.01)
        ended.append("longer")

    with pytest.raises(UnavailableError):
        await concurrently(fails(), takes_longer())
    assert ended == ["longer"]
