"""A commit that is worked out and not yet written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from castlist.contract.values import DistanceSetting
from castlist.store.records.change_history import ObjectionRecord
from castlist.store.records.erasures import ErasureRecord
from castlist.store.records.pending import PendingRecord
from castlist_identity.decisions.cards import Cards
from castlist_identity.decisions.decision import Decision
from castlist_identity.decisions.decision_set import DecisionSet
from castlist_identity.galleries.gallery_diff import GalleryDiff
from castlist_identity.galleries.reclustering import (
    ReclusterBacklog,
)
from profile_aggregator.commits.commit_documents import CommitDocuments
from profile_aggregator.commits.gallery_cache import CachedGallery
from profile_aggregator.videos.conversions import mean_of


class StaleGalleryError(Exception):
    """The gallery has moved on since it was read: match again."""


@dataclass(frozen=True)
class Outcome:
    """What a command has changed: the gallery's profiles, retired ones too. `undoes`: the change that it takes back."""

    profiles: tuple[str, ...]
    detail: Mapping[str, Any]
    undoes: str | None = None


@dataclass(frozen=True)
class CommitPlan:
    """A commit worked out against a gallery at a version: ready to be written.

    `batch` is what it settles of what is pending. `setting`, `distance`, `stages`, `decisions` and `cards` hold from
    this commit on; `decided` are those of the decisions that are to be written. `backlog` is what is to be reconsidered
    then, `faces_skipped` the gallery's; None where the commit does not change that. `outcome`: what is recorded of a
    command. `objection` is one that is new, `withdrawn` is one that goes.
    """

    gallery: str
    batch: Sequence[PendingRecord]
    diff: GalleryDiff
    documents: CommitDocuments
    cached: CachedGallery
    setting: DistanceSetting
    distance: float
    stages: int
    backlog: ReclusterBacklog | None
    decisions: DecisionSet
    cards: Cards
    decided: Sequence[Decision] = ()
    outcome: Outcome | None = None
    erasure: ErasureRecord | None = None
    seen: frozenset[str] = frozenset()
    faces_skipped: Mapping[str, int] | None = None
    objection: ObjectionRecord | None = None
    withdrawn: str | None = None

    @property
    def starts_over(self) -> bool:
        """Whether persons join up to another distance from this commit on, or in another number of stages."""
        known = self.cached.gallery
        return (self.distance, self.stages) != (known.distance, known.stages)

    def succeeded(self) -> None:
        """The transaction has won: what is in memory follows."""
        known = self.cached.gallery
        known.apply(self.diff)
        self.cached.version += 1
        self.cached.setting = self.setting
        self.cached.decisions, self.cached.cards = self.decisions, self.cards
        if self.objection is not None:
            self.cached.objections = {**self.cached.objections, self.objection.id: mean_of(self.objection.mean)}
        if self.withdrawn is not None:
            kept = {id: mean for id, mean in self.cached.objections.items() if id != self.withdrawn}
            self.cached.objections = kept
        if self.documents.events:
            self.cached.told = self.cached.version
        self.cached.sampled = True
        self.cached.seen |= self.seen
        if self.starts_over:
            known.set_distance(self.distance, self.stages)
            self.cached.seen = set()
