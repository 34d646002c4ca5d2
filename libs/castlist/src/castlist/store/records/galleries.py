"""A gallery, and what a person should look at in it."""

from datetime import datetime
from typing import Literal

import msgspec

from castlist.contract.values import GallerySettings
from castlist.store.records.collection import ADMIN, AGGREGATOR, INGEST, QUERY, WORKERS, Collection, index
from castlist.store.records.record import Record


class GalleryRecord(Record, frozen=True, kw_only=True):
    """A namespace of people. Each commit compares and swaps `version`; `distance` is what persons join up to.

    `stages` is in how many its people were matched last; `sampled` is said once crowds are known by samples.
    """

    version: int
    created_at: datetime
    settings: GallerySettings | None = None
    distance: float | None = None
    stages: int = 1
    sampled: bool = False
    committed_at: datetime | None = None
    told: int | None = None
    """the last version that has events; None: none yet, or of before 0.2.0"""
    suggestions_due: bool = False
    faces_skipped: dict[str, int] = msgspec.field(default_factory=dict)
    """faces that nobody is made of, by reason, in the runs whose people are in it"""
    asked_by: str | None = None
    """by which request it was made; None: by being used"""
    deletion: str | None = None
    """the change that is deleting it: meanwhile nothing comes to it"""
    deleted_at: datetime | None = None
    """when it was deleted: it is shown nowhere, and begins anew, with a higher version, where it is used again"""
    importing: str | None = None
    """the command whose archive is on its way into it: nothing else is committed until all of that is there"""


class SuggestionRecord(Record, frozen=True, kw_only=True):
    """Two profiles that may be one person, the smaller id first; or one that may be two, and the videos of those of its
    appearances that fit the others least."""

    gallery: str
    kind: Literal["one", "two"] = "one"
    profiles: tuple[str, ...]
    videos: tuple[str, ...] = ()
    distance: float
    likeness: float = 0.5


GALLERIES = Collection(
    name="galleries",
    record=GalleryRecord,
    id="gallery",
    owner=AGGREGATOR,
    writers=(INGEST, WORKERS, ADMIN),
    readers=(QUERY,),
    kept="for ever",
    growth="galleries",
    indexes=(
        index(GalleryRecord.suggestions_due, partialFilterExpression={"suggestions_due": True}),
        index(GalleryRecord.deleted_at, GalleryRecord.deletion, GalleryRecord.id),
    ),
)
SUGGESTIONS = Collection(
    name="suggestions",
    record=SuggestionRecord,
    id="what it is about",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="until the gallery is looked through again",
    growth="profiles",
    indexes=(
        index(SuggestionRecord.gallery, SuggestionRecord.kind, SuggestionRecord.distance),
        index(SuggestionRecord.profiles),
    ),
)
