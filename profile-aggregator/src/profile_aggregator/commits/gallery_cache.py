"""The galleries this process commits to, kept in memory between commits.

Loaded again when another process has committed.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from castlist.contract.values import DistanceSetting, GallerySettings
from castlist.contract.vectors import Vector
from castlist.store.committed_persons import pages_of_persons
from castlist.store.query import eq
from castlist.store.records.change_history import DecisionRecord, ObjectionRecord
from castlist.store.records.persons import PersonEncoding
from castlist.store.records.profiles import ProfileFounder, ProfileRecord, RedirectRecord
from castlist.store.store import Store
from castlist.tasks.galleries import is_shown
from castlist_identity.decisions.cards import Cards
from castlist_identity.decisions.decision_set import DecisionSet
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import SampleRole
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.matching.auto_distance import auto_distance, stages_for
from profile_aggregator.commits.stored_decisions import decision_of
from profile_aggregator.videos.conversions import gallery_person, mean_of

ROOM = 512_000_000
"""Bytes of galleries that are held beside the one in use."""
_LOADING_THREADS = 4
"""At most so many load a gallery: each takes some 25 MB meanwhile."""
PAGE = 5_000
"""Persons read at a time."""


@dataclass
class CachedGallery:
    """A gallery as it was at `version`; `setting` is what its settings say about the distance,
    `told` the last version that has events, None where that is not known.

    `objections` are encodings of who objects to being known. `sampled`: whether its crowds are known by samples
    already. `seen`: who was reconsidered since the distance changed, as far as this process knows.
    """

    version: int
    gallery: Gallery
    decisions: DecisionSet = field(default_factory=DecisionSet)
    cards: Cards = field(default_factory=Cards)
    objections: Mapping[str, Vector] = field(default_factory=dict)
    setting: DistanceSetting = "auto"
    told: int | None = 0
    sampled: bool = True
    seen: set[str] = field(default_factory=set)


class GalleryGoneError(Exception):
    """The gallery was deleted, or is being: nothing comes to it."""


class GalleryCache:
    """A small cache; the compare-and-swap on `version` is what guards a commit, not this."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cached: OrderedDict[str, CachedGallery] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    def lock(self, gallery: str) -> asyncio.Lock:
        """Commits to one gallery follow each other within this process."""
        return self._locks.setdefault(gallery, asyncio.Lock())

    async def current(self, gallery: str) -> CachedGallery:
        """The gallery at the version stored now. GalleryGoneError where it was deleted."""
        stored = await self._store.galleries.get(gallery)
        if stored is not None and not is_shown(stored):
            self.forget(gallery)
            raise GalleryGoneError(gallery)
        version = stored.version if stored else 0
        cached = self._cached.get(gallery)
        if cached is None or cached.version != version:
            cached = await self._load(gallery)
            self._cached[gallery] = cached
        self._cached.move_to_end(gallery)
        while len(self._cached) > 1 and sum(one.gallery.size for one in self._cached.values()) > ROOM:
            self._cached.popitem(last=False)
        return cached

    def holds(self, gallery: str) -> bool:
        """Whether this process has committed to it lately."""
        return gallery in self._cached

    def forget(self, gallery: str) -> None:
        """Load it again next time."""
        self._cached.pop(gallery, None)

    async def _load(self, gallery: str) -> CachedGallery:
        while True:
            before = await self._store.galleries.get(gallery)
            # What it was clustered with last; the next commit notices where that is not what it should be by now.
            distance = before.distance if before and before.distance is not None else auto_distance(0)
            settings = before.settings if before and before.settings else GallerySettings()
            stages = before.stages if before and before.version else stages_for(settings.across_video_distance)
            loaded = Gallery(distance, stages=stages)
            async for page in pages_of_persons(self._store, gallery, PersonEncoding, PAGE):
                await asyncio.to_thread(_take_over, loaded, page)
            living, retired, decided, objecting = await asyncio.gather(
                self._store.profiles.find_parts(ProfileFounder, eq(ProfileRecord.gallery, gallery)),
                self._store.redirects.find_parts(ProfileFounder, eq(RedirectRecord.gallery, gallery)),
                self._store.decisions.find(eq(DecisionRecord.gallery, gallery)),
                self._store.objections.find(eq(ObjectionRecord.gallery, gallery)),
            )
            after = await self._store.galleries.get(gallery)
            version = before.version if before else 0
            if version == (after.version if after else 0):  # no commit came while we read
                break
        decisions = await asyncio.to_thread(DecisionSet, map(decision_of, decided), loaded.members.__contains__)
        loaded.links = decisions.constraints
        profiles = (Profile(one.id, one.founder, one.version) for one in (*living, *retired))
        await asyncio.to_thread(complete, loaded, profiles)
        told = before.told if before and before.version else 0
        sampled = before.sampled if before and before.version else True
        cards = await asyncio.to_thread(Cards, decisions, loaded.profile_of.get)
        objections = {one.id: mean_of(one.mean) for one in objecting}
        return CachedGallery(
            version, loaded, decisions, cards, objections, settings.across_video_distance, told, sampled
        )


def complete(gallery: Gallery, profiles: Iterable[Profile]) -> None:
    """`Gallery.complete` on all cores: nothing is committed before it is through, and it goes with the square."""
    with ThreadPoolExecutor(min(_LOADING_THREADS, len(os.sched_getaffinity(0)))) as pool:
        gallery.complete(profiles, pool.map)


def _take_over(gallery: Gallery, persons: Sequence[PersonEncoding]) -> None:
    elsewhere = (person for person in persons if person.round or person.follows)
    roles = {person.id: SampleRole(person.round, person.follows) for person in elsewhere}
    gallery.take_over(((gallery_person(person), str(person.profile_id)) for person in persons), roles)
