"""Creating the declared topics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    TopicAlreadyExistsError,
    for_code,
)

from castlist.adapters.kafka.connection import OUTAGE, TIMEOUT_MS, stop_quietly, within
from castlist.contract.topics import DEAD_RETENTION, TOPICS
from castlist.ports.dead_letters import MAX_MESSAGE
from castlist.ports.errors import UnavailableError


async def topics_missing(bootstrap: str) -> list[str]:
    """Which of the declared topics and their dead letters are not there."""
    async with _administration(bootstrap) as admin:
        there = set(await admin.list_topics())
        return [name for topic in TOPICS for name in (topic.name, topic.dead) if name not in there]


async def create_topics(bootstrap: str, *, chunk_partitions: int, replication: int = 1) -> list[str]:
    """Create what is missing of the declared topics and their dead letters; returns the names of those created."""
    async with _administration(bootstrap) as admin:
        there = set(await admin.list_topics())
        wanted: list[NewTopic] = []
        for topic in TOPICS:
            partitions = chunk_partitions if topic.name == "video.chunks" else topic.partitions
            wanted.append(new_topic(topic.name, partitions, replication, topic.retention))
            wanted.append(new_topic(topic.dead, 1, replication, DEAD_RETENTION))
        missing = [new for new in wanted if new.name not in there]
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *_ in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise for_code(code)(f"topic {name} was not created")
        return [new.name for new in missing]


@asynccontextmanager
async def _administration(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=TIMEOUT_MS)
    try:
        await within(admin.start(), 30)
        yield admin
    except OUTAGE as error:
        raise UnavailableError(f"Kafka: {error!r}") from error
    finally:
        await stop_quietly(admin)


def new_topic(name: str, partitions: int, replication: int, retention: int) -> NewTopic:
    return NewTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replication,
        topic_configs={
            "retention.ms": str(retention * 1000),
            "max.message.bytes": str(MAX_MESSAGE),
            "compression.type": "gzip",
        },
    )
