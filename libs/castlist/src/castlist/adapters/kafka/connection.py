"""What the modules of this package share: limits, and what an outage looks like."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
)

T = TypeVar("T")
TIMEOUT_MS = 10_000
# What an outage looks like through aiokafka; the pipelines retry on these.
OUTAGE = (KafkaError, asyncio.TimeoutError, OSError)


async def within(work: Awaitable[T], seconds: float) -> T:
    # Not asyncio.wait_for: up to Python 3.11 it swallows a cancel that comes in the moment the work is done.
    async with asyncio.timeout(seconds):
        return await work


async def stop_quietly(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    with contextlib.suppress(*OUTAGE):
        await within(client.stop(), 3)
