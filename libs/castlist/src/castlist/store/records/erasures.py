"""What is still to go: of what was erased, and of what runs have left behind."""

from datetime import datetime
from typing import Literal

import msgspec

from castlist.contract.values import StoredObject
from castlist.store.records.collection import AGGREGATOR, Collection
from castlist.store.records.record import Record


class ErasedPerson(msgspec.Struct, frozen=True):
    """Of somebody who was erased: in which run, and its tracks as in a `PersonRecord`, by which its crops are found."""

    video_id: str
    epoch: int
    tracks: bytes


class LogEnd(msgspec.Struct, frozen=True):
    """Of a topic's partition: the offset of the message that comes next."""

    topic: str
    partition: int
    offset: int


class ErasureRecord(Record, frozen=True, kw_only=True):
    """What is still to go of people, of a video, or of a gallery that was erased by the commit that made `version` of
    the gallery: crops, objects, what lies in MongoDB of what was said about them, and in Kafka.

    `change`: what it answers to; None where a later run had found the people again. `changes` are those that spoke of
    them, `persons` whose crops are to be found. The numbers are of what has gone so far. `ends`: up to where messages
    are to go; None before that was noted.
    """

    gallery: str
    version: int
    what: Literal["people", "video", "gallery"] = "people"
    change: str | None
    changes: tuple[str, ...] = ()
    persons: tuple[ErasedPerson, ...] = ()
    at: datetime
    videos: int = 0
    objects: int = 0
    people: int = 0
    crops: int = 0
    changed: int = 0
    ends: tuple[LogEnd, ...] | None = None


class RemovalRecord(Record, frozen=True, kw_only=True):
    """What is left behind of a video's runs from epoch `first` to `last`: crops, and people that came to no profile.

    `deleted`: with the video, all that was kept of these runs goes, and its `object`. `erasure`: what counts it.
    """

    video_id: str
    first: int
    last: int
    deleted: bool = False
    object: StoredObject | None = None
    at: datetime
    erasure: str | None = None


REMOVALS = Collection(
    name="removals",
    record=RemovalRecord,
    id="last run:first epoch",
    owner=AGGREGATOR,
    writers=(),
    readers=(),
    kept="until it is carried out",
    growth="videos done again or deleted, while S3 is away",
)
ERASURES = Collection(
    name="erasures",
    record=ErasureRecord,
    id="gallery:version",
    owner=AGGREGATOR,
    writers=(),
    readers=(),
    kept="until it is carried out",
    growth="erasures, while S3 or Kafka is away",
)
