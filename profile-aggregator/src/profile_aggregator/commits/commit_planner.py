"""From what is pending for a gallery to what its next commit writes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from castlist.contract.commands import ChangeSettings
from castlist.contract.ids import derived
from castlist.contract.values import DistanceSetting
from castlist.ports.errors import TooLargeError
from castlist.store.pending import recluster_id
from castlist.store.query import with_ids
from castlist.store.records import (
    PendingRecluster,
    PendingRecord,
    PendingVideo,
    PersonPresence,
    PersonRecord,
)
from castlist.store.store import Store
from castlist_identity.domain import GalleryPerson
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange, GalleryDiff
from castlist_identity.galleries.reclustering import (
    ALL_PERSONS,
    BOUND,
    ClusteredComponent,
    ReclusterBacklog,
    ReclusterBatch,
)
from castlist_identity.galleries.video_update import VideoUpdate, change_for_updates
from castlist_identity.matching.auto_distance import distance_for, stages_for
from profile_aggregator.commits.commands import change_for, command_of
from profile_aggregator.commits.commit_documents import CommitDocuments, documents_of, needed_persons
from profile_aggregator.commits.gallery_cache import CachedGallery
from profile_aggregator.videos.conversions import gallery_person, places_of
from profile_aggregator.videos.found_people import people_of

MOST_CHANGES = 6_000
"""Persons, appearances and profiles that one commit writes: it must end well within MongoDB's transaction lifetime."""


class StaleGalleryError(Exception):
    """The gallery has moved on since it was read: match again."""


def backlog_of(pending: PendingRecord | None) -> ReclusterBacklog:
    """What is still to be clustered again, as it was stored; nothing where nothing is."""
    if not isinstance(pending, PendingRecluster):
        return ReclusterBacklog(None)
    return ReclusterBacklog(pending.after, frozenset(pending.keys))


@dataclass(frozen=True)
class CommitPlan:
    """A commit worked out against a gallery at a version: ready to be written.

    `batch` is what it settles of what is pending. `setting`, `distance` and `stages` hold from this commit on.
    `backlog` is what is to be reconsidered then; None where the commit does not change that.
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
    seen: frozenset[str] = frozenset()

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
        if self.documents.events:
            self.cached.told = self.cached.version
        self.cached.sampled = True
        self.cached.seen |= self.seen
        if self.starts_over:
            known.set_distance(self.distance, self.stages)
            self.cached.seen = set()


def _changes(diff: GalleryDiff) -> int:
    return len(diff.appeared) + len(diff.left) + len(diff.moved) + len(diff.appearances) + len(diff.videos)


class CommitPlanner:
    """Works out commits. Reads MongoDB, writes nothing; clusters outside of the event loop."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock

    async def for_batch(self, gallery: str, batch: Sequence[PendingRecord], cached: CachedGallery) -> CommitPlan:
        """The commit of these videos' people, or of one command.

        StaleGalleryError if MongoDB is ahead of `cached`; TooLargeError if fewer had better be committed at once.
        One that changes too much on its own leaves who is there already as they are, to be clustered again later.
        """
        known = cached.gallery
        videos = [one for one in batch if isinstance(one, PendingVideo)]
        inserted = await people_of(self._store, videos)
        if len(inserted) < sum(video.people for video in videos):
            raise LookupError(f"people of {[video.id for video in videos]} are not there")
        command = command_of(batch[0])
        change = change_for(command, known) if command is not None else await self._replacement(videos, known, inserted)
        setting = command.across_video_distance if isinstance(command, ChangeSettings) else cached.setting
        diff = await asyncio.to_thread(self._propose, gallery, cached, change, BOUND)
        if _changes(diff) > MOST_CHANGES:
            if len(batch) > 1:
                raise TooLargeError(f"{_changes(diff)} changes in one commit")
            diff = await asyncio.to_thread(self._propose, gallery, cached, change, 0)
        people = len(known.members) + len(change.inserted) - len(change.removed)
        spread = await asyncio.to_thread(known.spread, change) if setting == "auto" else 1.0
        distance = distance_for(setting, people, spread)
        stages = stages_for(setting)
        backlog = None
        unsampled = not cached.sampled and people > known.sample
        if (distance, stages) != (known.distance, known.stages) or unsampled:
            backlog = ALL_PERSONS if people else ReclusterBacklog(None)
        elif diff.clusters.unsettled:
            so_far = backlog_of(await self._store.pending.get(recluster_id(gallery)))
            backlog = ReclusterBacklog(so_far.after, so_far.keys | diff.clusters.unsettled)
        documents = await self._documents(gallery, diff, cached, inserted)
        return CommitPlan(gallery, batch, diff, documents, cached, setting, distance, stages, backlog)

    async def for_recluster(
        self,
        gallery: str,
        batch: ReclusterBatch,
        backlog: ReclusterBacklog,
        cached: CachedGallery,
        clustered: ClusteredComponent | None,
    ) -> CommitPlan:
        """The commit that reconsiders a batch, or as much of it as one commit moves.

        The last one looks everybody through: while something waits to be clustered, a process that reads the gallery
        knows of the clusters only what their profiles show, and these may be on their way.
        """
        known, clusters = cached.gallery, None
        change = GalleryChange(reconsider=batch.keys)
        if batch.large and clustered is not None:
            change, clusters = GalleryChange(), clustered.clusters
        diff = await asyncio.to_thread(
            self._propose, gallery, cached, change, BOUND, clusters, batch.moves, everybody=batch.left.done
        )
        left, seen = (backlog, frozenset[str]())
        if diff.clusters.whole:
            seen = batch.seen
            left = ReclusterBacklog(batch.left.after, batch.left.keys | (diff.clusters.unsettled - batch.keys))
        documents = await self._documents(gallery, diff, cached, {})
        return CommitPlan(
            gallery, (), diff, documents, cached, cached.setting, known.distance, known.stages, left, seen
        )

    def _propose(
        self,
        gallery: str,
        cached: CachedGallery,
        change: GalleryChange,
        bound: int | None,
        clustered: Sequence[tuple[str, ...]] | None = None,
        moves: int | None = None,
        everybody: bool = False,
    ) -> GalleryDiff:
        version = cached.version + 1
        return cached.gallery.propose(
            change,
            lambda smallest: derived("profile", gallery, version, smallest),
            version,
            bound,
            clustered,
            moves,
            everybody,
        )

    async def _documents(
        self, gallery: str, diff: GalleryDiff, cached: CachedGallery, inserted: Mapping[str, PersonRecord]
    ) -> CommitDocuments:
        known, needed = cached.gallery, needed_persons(diff)
        stored: list[PersonPresence] = []
        if needed:
            stored = await self._store.persons.find_parts(PersonPresence, with_ids(sorted(needed)))
            if len(stored) < len(needed):
                raise StaleGalleryError

        return documents_of(
            diff,
            gallery,
            cached.version + 1,
            cached.told,
            self._clock(),
            inserted,
            {person.id: person for person in stored},
            known.profiles,
        )

    async def _replacement(
        self, videos: Sequence[PendingVideo], known: Gallery, inserted: Mapping[str, PersonRecord]
    ) -> GalleryChange:
        """The persons of these videos instead of those that earlier runs had found in them."""
        removed = frozenset(key for video in videos for key in known.persons_of(video.video_id))
        places = {}
        if removed:
            stored = await self._store.places.find(with_ids(sorted(removed | inserted.keys())))
            places = {one.id: places_of(one) for one in stored}
        members: dict[str, list[GalleryPerson]] = {video.video_id: [] for video in videos}
        for person in inserted.values():
            members[person.video_id].append(gallery_person(person))
        updates = [VideoUpdate(video, tuple(persons), places) for video, persons in members.items()]
        return await asyncio.to_thread(change_for_updates, known, updates)
