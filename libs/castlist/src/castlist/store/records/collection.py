"""A collection of MongoDB, declared once: its record, who writes and reads it, its indexes, how long it is kept."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from castlist.store.query import Sort, ascending
from castlist.store.records.record import Record

R = TypeVar("R", bound=Record)
DAY = 24 * 3600
REPLAYED_DAYS = 90
REPLAYED = REPLAYED_DAYS * DAY
"""As long as a message can come again: topics that are read here keep theirs for 30 days, dead letters for 90."""
INGEST, WORKERS, AGGREGATOR, QUERY, ADMIN = "ingest", "frame-workers", "profile-aggregator", "query-api", "admin"


@dataclass(frozen=True)
class Index:
    """One index; `options` as MongoDB takes them."""

    keys: tuple[Sort, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Collection(Generic[R]):
    """`owner` answers for what lies in it; `writers` write it as well, through `castlist.tasks` or the outbox.

    `id`: what its ids are. `kept`: how long a record stays. `growth`: what the number of records grows with.
    `kinds`: the types of its records, where there are several. `retired`: indexes of before, which are to go.
    """

    name: str
    record: type[R]
    id: str
    owner: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    kept: str
    growth: str
    indexes: tuple[Index, ...] = ()
    retired: tuple[Index, ...] = ()
    several: Any = None

    @property
    def kinds(self) -> Any:
        """What a document of it is read as."""
        return self.record if self.several is None else self.several


def index(*keys: Any, **options: Any) -> Index:
    """On fields, upwards unless a key says otherwise."""
    return Index(tuple(key if isinstance(key, tuple) else ascending(key) for key in keys), options)
