"""What waits for a gallery, and the ledger of what was committed."""

from datetime import datetime
from typing import Any

from castlist.contract.values import GallerySettings
from castlist.store.records.collection import AGGREGATOR, QUERY, REPLAYED, Collection, index
from castlist.store.records.record import Record


class PendingRecord(Record, frozen=True, kw_only=True, tag_field="kind"):
    """What waits for a gallery: until it is committed the gallery is not settled."""

    gallery: str
    created_at: datetime


class PendingVideo(PendingRecord, frozen=True, kw_only=True, tag="people"):
    """The people of a run (its id), to be committed: so many, each in `persons`, without a profile yet."""

    video_id: str
    epoch: int
    people: int


class PendingCommand(PendingRecord, frozen=True, kw_only=True, tag="command"):
    """A command on the gallery, as JSON would hold it."""

    name: str
    command: dict[str, Any]


class PendingRecluster(PendingRecord, frozen=True, kw_only=True, tag="recluster"):
    """Which persons are to be clustered again: all behind `after` (None: none), and the components of `keys`."""

    after: str | None
    keys: tuple[str, ...]


class PreviewRecord(Record, frozen=True, kw_only=True):
    """Settings of which somebody asks (its change) what they would make of the gallery. `touched_at`: when a process
    was last at work on it, or it was asked."""

    gallery: str
    settings: GallerySettings
    touched_at: datetime


class LedgerRecord(Record, frozen=True, kw_only=True):
    """What was committed: `gallery:run`, or `gallery:command:event`."""

    at: datetime
    failed: bool = False


PENDING = Collection(
    name="pending",
    record=PendingRecord,
    id="run, or command:event, or recluster::gallery",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="until it is committed",
    growth="what waits for galleries",
    indexes=(
        index(PendingRecord.gallery, PendingRecord.created_at, PendingRecord.id),
        # For whom something waits is answered without reading it.
        index(PendingRecord.created_at, PendingRecord.gallery, ("kind", 1)),
    ),
    several=PendingVideo | PendingCommand | PendingRecluster,
)
PREVIEWS = Collection(
    name="previews",
    record=PreviewRecord,
    id="change",
    owner=AGGREGATOR,
    writers=(QUERY,),
    readers=(),
    kept="until it is worked out",
    growth="previews of settings under way",
)
LEDGER = Collection(
    name="ledger",
    record=LedgerRecord,
    id="gallery:run, or gallery:command:event",
    owner=AGGREGATOR,
    writers=(),
    readers=(),
    kept="90 days",
    growth="runs and commands of 90 days",
    indexes=(index(LedgerRecord.at, expireAfterSeconds=REPLAYED),),
)
