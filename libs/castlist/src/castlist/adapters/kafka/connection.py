"""What the modules of this package share: limits, and what an outage looks like."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any, TypeVar
from urllib.parse import unquote

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    KafkaError,
)

from castlist.adapters.kafka.decompression import bound_memory

T = TypeVar("T")
Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer)
TIMEOUT_MS = 10_000
_REST = 0.25
# What an outage looks like through aiokafka; the pipelines retry on these.
OUTAGE = (KafkaError, asyncio.TimeoutError, OSError)
bound_memory()


def client_options(bootstrap: str) -> dict[str, str]:
    """What a client of aiokafka is told of `[user:password@]host:port[,host:port]`; an account is shown by SASL PLAIN.

    As in a URL, what an account has of `:`, `@`, `,` and `%` is percent-encoded.
    """
    account, at, addresses = bootstrap.rpartition("@")
    if not at:
        return {"bootstrap_servers": addresses}
    user, _, password = account.partition(":")
    return {
        "bootstrap_servers": addresses,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": unquote(user),
        "sasl_plain_password": unquote(password),
    }


async def within(work: Awaitable[T], seconds: float) -> T:
    # Not asyncio.wait_for: up to Python 3.11 it swallows a cancel that comes in the moment the work is done.
    async with asyncio.timeout(seconds):
        return await work


async def stop_quietly(client: AIOKafkaProducer | AIOKafkaConsumer | AIOKafkaAdminClient) -> None:
    with contextlib.suppress(*OUTAGE):
        await within(client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop(), 3)


def patiently(client: Client) -> Client:
    """The same client, which asks less often for topics that are not there, and for brokers.

    While a partition that it needs has no leader, aiokafka (0.14.0: `Fetcher._fetch_requests_routine` and
    `Sender._sender_routine`) asks for the metadata again as soon as they have come, thousands of times a second, and
    logs each of them. Nobody needs an answer sooner than the update is done, so that is where the pause belongs.
    """
    inner = client._client if isinstance(client, AIOKafkaConsumer) else client.client
    update = inner._metadata_update

    async def update_and_rest(cluster: Any, topics: Any) -> bool:
        done: bool = await update(cluster, topics)
        if not done or not all(_is_led(cluster, topic) for topic in topics or ()):
            await asyncio.sleep(_REST)
        return done

    inner._metadata_update = update_and_rest
    return client


def _is_led(cluster: Any, topic: str) -> bool:
    partitions = cluster.partitions_for_topic(topic)
    return bool(partitions) and partitions == cluster.available_partitions_for_topic(topic)
