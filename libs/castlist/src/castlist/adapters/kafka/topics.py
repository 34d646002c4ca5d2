"""Making the declared topics."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import (
    InvalidPartitionsError,
    TopicAlreadyExistsError,
    for_code,
)

from castlist.adapters.kafka.connection import OUTAGE, TIMEOUT_MS, client_options, stop_quietly, within
from castlist.contract.topics import BY_NAME, DEAD_RETENTION, TOPICS, VIDEO_CHUNKS
from castlist.ports.dead_letters import MAX_MESSAGE
from castlist.ports.errors import UnavailableError


@dataclass(frozen=True)
class TopicSettings:
    """How topics are made. Their names begin with `prefix`.

    `replicas` brokers keep each, and `min_insync` of them must have a message before it counts as written.
    """

    chunk_partitions: int
    prefix: str = ""
    replicas: int = 1
    min_insync: int = 1

    def wanted(self) -> list[NewTopic]:
        """The declared topics and their dead letters."""
        found: list[NewTopic] = []
        for topic in TOPICS:
            partitions = self.chunk_partitions if topic is VIDEO_CHUNKS else topic.partitions
            found.append(self.new(topic.name, partitions, topic.retention))
            found.append(self.new(topic.dead, 1, DEAD_RETENTION))
        return found

    def new(self, name: str, partitions: int, retention: int) -> NewTopic:
        """One of them; `retention` is in seconds."""
        configs = {
            "retention.ms": str(retention * 1000),
            "max.message.bytes": str(MAX_MESSAGE),
            "compression.type": "gzip",
            "min.insync.replicas": str(self.min_insync),
        }
        return NewTopic(self.prefix + name, partitions, self.replicas, topic_configs=configs)


async def topics_missing(bootstrap: str, settings: TopicSettings) -> list[str]:
    """Which of the declared topics and their dead letters are not there."""
    async with _administration(bootstrap) as admin:
        there = set(await admin.list_topics())
        return [new.name for new in settings.wanted() if new.name not in there]


async def create_topics(bootstrap: str, settings: TopicSettings) -> list[str]:
    """Create what is missing of the declared topics and their dead letters; returns the names of those created.

    Those whose messages may be in any order are given the partitions that they lack. Elsewhere a key would move to
    another partition, and overtake what is still unread of it: there they stay as they are.
    """
    async with _administration(bootstrap) as admin:
        there = set(await admin.list_topics())
        missing = [new for new in settings.wanted() if new.name not in there]
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *_ in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise for_code(code)(f"topic {name} was not created")
        await _grow(admin, [new for new in settings.wanted() if new not in missing and _may_grow(settings, new)])
        return [new.name for new in missing]


def _may_grow(settings: TopicSettings, new: NewTopic) -> bool:
    topic = BY_NAME.get(new.name.removeprefix(settings.prefix))
    return topic is not None and not topic.ordered


async def _grow(admin: AIOKafkaAdminClient, wanted: Sequence[NewTopic]) -> None:
    described = await admin.describe_topics([new.name for new in wanted])
    has = {found["topic"]: len(found["partitions"]) for found in described}
    more = {new.name: NewPartitions(new.num_partitions) for new in wanted if has[new.name] < new.num_partitions}
    if more:
        with contextlib.suppress(InvalidPartitionsError):  # another process has raised it meanwhile
            await admin.create_partitions(more)


@asynccontextmanager
async def _administration(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(bootstrap), request_timeout_ms=TIMEOUT_MS)
    try:
        await within(admin.start(), 30)
        yield admin
    except OUTAGE as error:
        raise UnavailableError(f"Kafka: {error!r}") from error
    finally:
        await stop_quietly(admin)
