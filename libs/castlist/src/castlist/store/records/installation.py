"""The installation: its name, its migrations, its processes, its topics."""

from datetime import datetime

from castlist.store.records.collection import ADMIN, AGGREGATOR, QUERY, Collection
from castlist.store.records.record import Record


class InstallationRecord(Record, frozen=True, kw_only=True):
    """Which installation this is, drawn once."""

    name: str


class MigrationRecord(Record, frozen=True, kw_only=True):
    """A migration that was run, by its number."""

    done_at: datetime


class InstanceRecord(Record, frozen=True, kw_only=True):
    """Which process (its nonce) runs under a static Kafka member id."""

    nonce: str


class TopicsRecord(Record, frozen=True, kw_only=True):
    """How often topics had to be created in Kafka, and for how many of these times their loss was made good."""

    created: int = 0
    made_good: int = 0


MIGRATIONS = Collection(
    name="migrations",
    record=MigrationRecord,
    id="number",
    owner=ADMIN,
    writers=(),
    readers=(),
    kept="for ever",
    growth="versions",
)
INSTALLATION = Collection(
    name="installation",
    record=InstallationRecord,
    id="always `castlist`",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="for ever",
    growth="one record",
)
INSTANCES = Collection(
    name="instances",
    record=InstanceRecord,
    id="member id",
    owner=AGGREGATOR,
    writers=(),
    readers=(),
    kept="for ever",
    growth="aggregators",
)
TOPICS = Collection(
    name="topics",
    record=TopicsRecord,
    id="always `kafka`",
    owner=ADMIN,
    writers=(AGGREGATOR,),
    readers=(),
    kept="for ever",
    growth="one record",
)
