"""The galleries this process commits to, kept in memory between commits.

Loaded again when somebody else committed.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from castlist.ports.documents import Documents
from castlist.store.collections import GALLERIES, PERSONS, PROFILES, REDIRECTS
from castlist_identity.auto_distance import Choice, auto_distance
from castlist_identity.gallery import Gallery
from castlist_identity.profile_ids import Profile
from profile_aggregator.videos.person_records import MEMBER_FIELDS, member_of

_KEPT = 16


@dataclass
class Loaded:
    """A gallery as it was at `version`; `choice` is what its settings say about the distance.

    `seen`: who was reconsidered since the distance changed, as far as this process knows.
    """

    version: int
    gallery: Gallery
    choice: Choice = "auto"
    seen: set[str] = field(default_factory=set)


class Galleries:
    """A small cache; the compare-and-swap on `version` is what guards a commit, not this."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    def lock(self, gallery: str) -> asyncio.Lock:
        """Commits to one gallery follow each other within this process."""
        return self._locks.setdefault(gallery, asyncio.Lock())

    async def current(self, gallery: str) -> Loaded:
        """The gallery at the version stored now."""
        stored = await self._documents.get(GALLERIES, gallery)
        version = int(stored["version"]) if stored else 0
        known = self._loaded.get(gallery)
        if known is None or known.version != version:
            known = await self._load(gallery)
            self._loaded[gallery] = known
        self._loaded.move_to_end(gallery)
        while len(self._loaded) > _KEPT:
            self._loaded.popitem(last=False)
        return known

    def known(self, gallery: str) -> bool:
        """Whether this process has committed to it lately."""
        return gallery in self._loaded

    def forget(self, gallery: str) -> None:
        """Load it again next time."""
        self._loaded.pop(gallery, None)

    async def _load(self, gallery: str) -> Loaded:
        while True:
            before = await self._documents.get(GALLERIES, gallery)
            persons = await self._documents.find(PERSONS, {"gallery": gallery}, fields=MEMBER_FIELDS)
            living = await self._documents.find(PROFILES, {"gallery": gallery}, fields=("founder", "version"))
            retired = await self._documents.find(REDIRECTS, {"gallery": gallery}, fields=("founder", "version"))
            after = await self._documents.get(GALLERIES, gallery)
            version = int(before["version"]) if before else 0
            if version == (int(after["version"]) if after else 0):  # nobody committed while we read
                break
        stored = before or {}
        # What it was clustered with last; the next commit notices where that is not what it should be by now.
        loaded = Gallery(stored.get("distance", auto_distance(0)))
        members = [(member_of(person), str(person["profile_id"])) for person in persons]
        profiles = [Profile(p["_id"], p["founder"], p["version"]) for p in (*living, *retired)]
        await asyncio.to_thread(loaded.load, members, profiles)
        return Loaded(version, loaded, (stored.get("settings") or {}).get("across_video_distance", "auto"))
