"""From what is pending for a gallery to what its next commit writes."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from castlist.contract.commands import ChangeSettings
from castlist.contract.ids import derived
from castlist.ports.documents import Document, Documents
from castlist.store.collections import PENDING, PERSONS
from castlist_identity.auto_distance import Choice, distance_for
from castlist_identity.gallery import Gallery
from castlist_identity.gallery_diff import Change, Difference
from castlist_identity.reclustering import (
    BOUND,
    EVERYBODY,
    Portion,
    Todo,
    Worked,
    next_clusters,
    recluster_key,
    todo_of,
)
from castlist_identity.video_update import Arrival, change_of
from profile_aggregator.commits.commands import change_for, command_of
from profile_aggregator.commits.commit_documents import Writes, needed_persons, writes
from profile_aggregator.commits.gallery_cache import Loaded
from profile_aggregator.videos.person_records import member_of, places_of


class Stale(Exception):
    """The gallery has moved on since it was read: match again."""


@dataclass(frozen=True)
class Plan:
    """A commit worked out against a gallery at a version: ready to be written.

    `batch` is what it settles of what is pending. `distance` and `choice` hold from this commit on. `todo` is what is
    to be reconsidered then; None where the commit does not change that.
    """

    gallery: str
    batch: Sequence[Document]
    made: Difference
    writes: Writes
    loaded: Loaded
    choice: Choice
    distance: float
    todo: Todo | None
    seen: frozenset[str] = frozenset()

    @property
    def retunes(self) -> bool:
        return self.distance != self.loaded.gallery.distance

    def succeeded(self) -> None:
        """The transaction has won: what is in memory follows."""
        known = self.loaded.gallery
        known.apply(self.made)
        self.loaded.version += 1
        self.loaded.choice = self.choice
        self.loaded.seen |= self.seen
        if self.retunes:
            known.retune(self.distance)
            self.loaded.seen = set()


class Matcher:
    """Works out commits. Reads MongoDB, writes nothing; clusters outside of the event loop."""

    def __init__(self, documents: Documents, clock: Callable[[], datetime]) -> None:
        self._documents, self._clock = documents, clock

    async def for_batch(self, gallery: str, batch: Sequence[Document], loaded: Loaded) -> Plan:
        """The commit of these videos' people, or of one command. Stale if MongoDB is ahead of `loaded`."""
        known = loaded.gallery
        inserted = {person["_id"]: person for one in batch for person in one["persons"]}
        command = command_of(batch[0])
        change = change_for(command, known) if command is not None else await self._replacement(batch, known, inserted)
        choice = command.across_video_distance if isinstance(command, ChangeSettings) else loaded.choice
        made = await asyncio.to_thread(self._propose, gallery, loaded, change, BOUND)
        people = len(known.members) + len(change.inserted) - len(change.removed)
        spread = await asyncio.to_thread(known.spread, change) if choice == "auto" else 1.0
        distance = distance_for(choice, people, spread)
        todo = None
        if distance != known.distance:
            todo = EVERYBODY if people else Todo(None)
        elif made.unsettled:
            so_far = todo_of(await self._documents.get(PENDING, recluster_key(gallery)))
            todo = Todo(so_far.after, so_far.keys | made.unsettled)
        planned = await self._writes(gallery, made, loaded, inserted)
        return Plan(gallery, batch, made, planned, loaded, choice, distance, todo)

    async def for_portion(
        self, gallery: str, portion: Portion, todo: Todo, loaded: Loaded, worked: Worked | None
    ) -> Plan:
        """The commit that reconsiders a portion; of a large one, as many clusters as one commit takes over."""
        known, left, clusters = loaded.gallery, portion.left, None
        change = Change(reconsider=portion.keys)
        if portion.large and worked is not None:
            clusters, last = next_clusters(known, worked)
            left = left if last else todo
            change = Change()
        made = await asyncio.to_thread(self._propose, gallery, loaded, change, None, clusters)
        planned = await self._writes(gallery, made, loaded, {})
        return Plan(gallery, (), made, planned, loaded, loaded.choice, known.distance, left, portion.seen)

    def _propose(
        self,
        gallery: str,
        loaded: Loaded,
        change: Change,
        bound: int | None,
        worked: Sequence[tuple[str, ...]] | None = None,
    ) -> Difference:
        version = loaded.version + 1
        return loaded.gallery.propose(
            change, lambda smallest: derived("profile", gallery, version, smallest), version, bound, worked
        )

    async def _writes(self, gallery: str, made: Difference, loaded: Loaded, inserted: Mapping[str, Document]) -> Writes:
        known = loaded.gallery
        persons = {**inserted, **{one["_id"]: one for one in await self._persons(needed_persons(made))}}

        def videos_of(keys: Iterable[str]) -> int:
            return len({persons[k]["video_id"] if k in inserted else known.members[k].video for k in keys})

        return writes(made, gallery, loaded.version + 1, self._clock(), persons, known.profiles, videos_of)

    async def _replacement(self, batch: Sequence[Document], known: Gallery, inserted: Mapping[str, Document]) -> Change:
        """The persons of these videos instead of those that earlier runs had found in them."""
        removed = frozenset(key for one in batch for key in known.persons_of(one["video_id"]))
        places = {one["_id"]: places_of(one) for one in await self._persons(removed)}
        if places:
            places |= {key: places_of(person) for key, person in inserted.items()}
        return change_of(
            known,
            [Arrival(one["video_id"], tuple(member_of(person) for person in one["persons"]), places) for one in batch],
        )

    async def _persons(self, keys: frozenset[str]) -> list[Document]:
        if not keys:
            return []
        found = await self._documents.find(PERSONS, {"_id": {"$in": sorted(keys)}})
        if len(found) < len(keys):
            raise Stale
        return found
