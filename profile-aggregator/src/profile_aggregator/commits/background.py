"""What is done about galleries between commits: portions of re-clustering, and suggestions once all is settled."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from castlist.contract.ids import derived
from castlist.ports.documents import Documents
from castlist.ports.errors import Unavailable
from castlist.store.collections import GALLERIES, PENDING, SUGGESTIONS
from castlist_identity.reclustering import ALL_KEYS
from castlist_identity.suggestions import Suggestion, suggestions
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import Galleries

log = logging.getLogger(__name__)
T = TypeVar("T")
_ORPHANED = timedelta(seconds=10)
"""After so long a gallery that another process has at hand counts as nobody's."""
_AFTER_ERROR = 30.0
_REST = 20
"""Looking for suggestions takes at most one part in so many of the time."""


class Background:
    """One instance a process. Galleries that the process has in memory are its own; others after a while."""

    def __init__(
        self, documents: Documents, galleries: Galleries, committer: Committer, clock: Callable[[], datetime]
    ) -> None:
        self._documents, self._galleries, self._committer, self._clock = documents, galleries, committer, clock
        self._resting: dict[str, float] = {}
        self._failed: dict[str, float] = {}

    async def for_ever(self, pause: float = 0.25) -> None:
        """Round after round, with a pause where there is nothing to do."""
        while True:
            try:
                if await self.round():
                    continue
            except Unavailable as error:
                log.warning("not now", extra={"reason": str(error)[:200]})
            except Exception:
                log.exception("cannot work in the background")
            await asyncio.sleep(pause)

    async def round(self) -> bool:
        """A portion for each gallery that has any left, and suggestions for the others; False if there was nothing."""
        worked = False
        for one in await self._documents.find(PENDING, {"_id": ALL_KEYS}, fields=("gallery", "created_at")):
            if self._ours(one["gallery"], one["created_at"]):
                worked |= bool(await self._alone(one["gallery"], self._committer.recluster))
        for one in await self._documents.find(GALLERIES, {"suggestions_due": True}, fields=("committed_at",)):
            rested = self._resting.get(one["_id"], 0.0) <= time.monotonic()
            if rested and self._ours(one["_id"], one["committed_at"]):
                await self._alone(one["_id"], self._suggest)
        return worked

    async def _alone(self, gallery: str, step: Callable[[str], Awaitable[T]]) -> T | None:
        """What goes wrong about one gallery is no reason to leave the others."""
        try:
            return await step(gallery)
        except Unavailable:
            raise
        except Exception:
            log.exception("cannot work on a gallery in the background", extra={"gallery": gallery})
            self._galleries.forget(gallery)
            self._failed[gallery] = time.monotonic()
            return None

    def _ours(self, gallery: str, last: datetime) -> bool:
        failed = time.monotonic() - self._failed.get(gallery, -_AFTER_ERROR) < _AFTER_ERROR
        return not failed and (self._galleries.known(gallery) or last < self._clock() - _ORPHANED)

    async def _suggest(self, gallery: str) -> None:
        if await self._documents.count(PENDING, {"gallery": gallery}):
            return
        started = time.monotonic()
        async with self._galleries.lock(gallery):
            loaded = await self._galleries.current(gallery)
            known, version = loaded.gallery, loaded.version
            profiles = {profile: [known.members[key] for key in keys] for profile, keys in known.persons.items()}
        found = await asyncio.to_thread(suggestions, profiles, known.links)
        await self._documents.transaction(lambda tx: _store(tx, gallery, version, found))
        self._resting[gallery] = time.monotonic() + _REST * (time.monotonic() - started)


async def _store(tx: Documents, gallery: str, version: int, found: list[Suggestion]) -> None:
    """These and no others, unless the gallery has moved on: then somebody looks again."""
    where = {"_id": gallery, "version": version}
    if await tx.update(GALLERIES, where, {"$set": {"suggestions_due": False}}) is None:
        return
    wanted = {
        derived("suggestion", gallery, one.one, one.other): {
            "gallery": gallery,
            "profiles": [one.one, one.other],
            "distance": one.distance,
        }
        for one in found
    }
    stored = {one["_id"]: one for one in await tx.find(SUGGESTIONS, {"gallery": gallery})}
    if gone := sorted(stored.keys() - wanted.keys()):
        await tx.delete(SUGGESTIONS, {"_id": {"$in": gone}})
    rows = [{"_id": key, **one} for key, one in wanted.items()]
    await tx.replace_many(SUGGESTIONS, [row for row in rows if row != stored.get(row["_id"])])
