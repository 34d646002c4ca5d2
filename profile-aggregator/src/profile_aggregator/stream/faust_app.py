"""Faust as it is used here: the only module that constructs its app."""

from typing import Any

import faust

from profile_aggregator.settings import Settings


def faust_app(settings: Settings, creations: int) -> Any:
    """Faust as transport only: at least once, no tables, no topics or servers of its own.

    A static member that comes back gets the partitions it had. In a Kafka that has lost its data that may be none: it
    joined before the topics were there again. So `creations` of topics are part of who it is.
    """
    brokers = [f"kafka://{address}" for address in settings.kafka_bootstrap.split(",")]
    return faust.App(
        "castlist-aggregator",
        broker=brokers,
        datadir=settings.castlist_home / "faust",
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"castlist-aggregator-{settings.aggregator_instance}-{creations}",
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
