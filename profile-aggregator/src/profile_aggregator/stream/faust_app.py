"""Faust as it is used here: as transport only, at least once, without tables, topics or servers of its own.

The only module that knows Faust. What it touches of Faust's privates was read in faust-streaming 0.15.3, to which the
workspace is pinned: `Consumer._committed_offset`, `Consumer.force_commit`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import faust

from castlist.contract.topics import Topic
from profile_aggregator.settings import Settings


class Stream(Protocol):
    """The part of a Faust stream that is used here."""

    def events(self) -> AsyncIterator[Any]: ...


def make_app(settings: Settings, topics_created: int) -> Any:
    """The app, not started.

    A static member that comes back gets the partitions it had. In a Kafka that has lost its data that may be none: it
    joined before the topics were there again. So how often topics had to be created is part of who it is.
    """
    brokers = [f"kafka://{address}" for address in settings.kafka_bootstrap.split(",")]
    return faust.App(
        "castlist-aggregator",
        broker=brokers,
        datadir=settings.castlist_home / "faust",
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"castlist-aggregator-{settings.aggregator_instance}-{topics_created}",
        agent_supervisor="mode.CrashingSupervisor",
        processing_guarantee="at_least_once",
        broker_commit_interval=1,
        broker_commit_every=100,
        broker_max_poll_records=25,
        broker_session_timeout=settings.aggregator_session_timeout,
        broker_heartbeat_interval=2,
        broker_request_timeout=90,
        stream_buffer_maxsize=1024,
        # On a rebalance, do not wait for what is in hand: it may wait for the rebalance. Redone, it is a no-op.
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
    )


def add_agent(app: Any, topic: Topic, consume: Callable[[Stream], Awaitable[None]]) -> None:
    """One agent with one actor: more would commit past messages in flight."""
    source = app.topic(topic.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def agent(stream: Any) -> None:
        await consume(stream)

    app.agent(source, name=f"castlist.{topic.name}", concurrency=1)(agent)


def has_partitions(app: Any) -> bool:
    """Whether the group has given us any."""
    return bool(app.consumer and app.consumer.assignment())


def waiting(app: Any) -> int:
    """Messages in our partitions that were not committed yet, as far as known."""
    consumer = app.consumer
    total = 0
    for partition in consumer.assignment():
        high = consumer.highwater(partition) or 0
        committed = consumer._committed_offset[partition]
        total += max(0, high - (committed or 0)) if high else 0
    return total


def forbid_commits(app: Any) -> None:
    """Whatever the app still does, nothing is acknowledged from now on."""

    async def frozen(*_: Any, **__: Any) -> bool:
        return False

    app.consumer.force_commit = frozen
