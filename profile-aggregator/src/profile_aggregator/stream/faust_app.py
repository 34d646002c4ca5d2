"""Faust as it is used here: as transport only, at least once, without tables, topics or servers of its own.

The only module that knows Faust. What it touches of Faust's privates was read in faust-streaming 0.15.3, to which the
workspace is pinned: `Consumer._committed_offset`, `_read_offset`, `_thread`, `perform_seek`, `force_commit`.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

import faust

from castlist.adapters.kafka.connection import client_options, patiently
from castlist.contract.topics import Topic
from castlist.ports.messages import Partition, ReadPosition
from profile_aggregator.settings import Settings

log = logging.getLogger(__name__)
GROUP = "castlist-aggregator"


class Stream(Protocol):
    """The part of a Faust stream that is used here."""

    def events(self) -> AsyncIterator[Any]: ...


def make_app(settings: Settings, topics_created: int) -> Any:
    """The app, not started.

    A static member that comes back gets the partitions it had. In a Kafka that has lost its data that may be none: it
    joined before the topics were there again. So how often topics had to be created is part of who it is.
    """
    told = client_options(settings.kafka_bootstrap)
    user, password = told.get("sasl_plain_username"), told.get("sasl_plain_password")
    return faust.App(
        settings.castlist_prefix + GROUP,
        broker=[f"kafka://{address}" for address in told["bootstrap_servers"].split(",")],
        broker_credentials=faust.SASLCredentials(username=user, password=password) if user else None,
        datadir=settings.castlist_home / "faust",
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{settings.castlist_prefix}{GROUP}-{settings.aggregator_instance}-{topics_created}",
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


def add_agent(app: Any, prefix: str, topic: Topic, consume: Callable[[Stream], Awaitable[None]]) -> None:
    """One agent with one actor: more would commit past messages in flight."""
    source = app.topic(
        prefix + topic.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )

    async def agent(stream: Any) -> None:
        await consume(stream)

    app.agent(source, name=f"castlist.{topic.name}", concurrency=1)(agent)


def has_partitions(app: Any) -> bool:
    """Whether the group has given us any."""
    return bool(app.consumer and app.consumer.assignment())


def positions(app: Any, prefix: str, is_busy: Callable[[str], bool]) -> Mapping[Partition, ReadPosition]:
    """Up to where our partitions are committed. `is_busy` tells whether an agent has a message of a topic in hand."""
    consumer = app.consumer
    return {
        (name := tp.topic.removeprefix(prefix), tp.partition): ReadPosition(
            consumer._committed_offset.get(tp), is_busy(name)
        )
        for tp in consumer.assignment()
    }


def mend(app: Any) -> None:
    """Before the start: what Faust does in a Kafka that has lost its data.

    Offsets of the lost log may be committed in the new one: aiokafka repeats a commit until its topic is there again.
    Faust takes a committed offset for the least that it will hand out, and drops what comes below it without a word;
    aiokafka begins anew where the offset is beyond the log's end. Together they read a partition and hear nothing.
    """
    consumer = app.consumer
    create, seek = consumer._thread._create_consumer, consumer.perform_seek

    def create_patient(*args: Any, **options: Any) -> Any:
        return patiently(create(*args, **options))

    async def seek_within_the_log() -> None:
        await seek()
        committed = {tp: offset for tp, offset in consumer._committed_offset.items() if offset}
        ends = await consumer.highwaters(*committed)
        for tp, offset in committed.items():
            if offset > ends[tp]:
                log.error("position_lost", extra={"topic": tp.topic, "partition": tp.partition, "offset": offset})
                consumer._committed_offset[tp] = consumer._read_offset[tp] = None
        # Faust seeks only where something is committed; elsewhere what it has just thrown away would be passed over.
        assigned = consumer._thread._consumer.assignment()
        if anew := [tp for tp in assigned if not consumer._committed_offset.get(tp)]:
            await consumer._thread.seek_to_beginning(*anew)

    consumer._thread._create_consumer = create_patient
    consumer.perform_seek = seek_within_the_log


def forbid_commits(app: Any) -> None:
    """Whatever the app still does, nothing is acknowledged from now on."""

    async def frozen(*_: Any, **__: Any) -> bool:
        return False

    app.consumer.force_commit = frozen
