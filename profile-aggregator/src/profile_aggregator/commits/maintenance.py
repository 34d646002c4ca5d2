"""What is done about galleries between commits: batches of re-clustering, and suggestions once all is settled."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from castlist.contract.bounds import MOST_LINK_VIDEOS
from castlist.contract.ids import derived, is_enrolment
from castlist.ports.errors import UnavailableError
from castlist.store.pending import ALL_RECLUSTERS
from castlist.store.query import eq, set_to, with_id, with_ids
from castlist.store.records.galleries import GalleryRecord, SuggestionRecord
from castlist.store.records.pending import PendingRecord
from castlist.store.store import Store
from castlist_identity.galleries.suggestions import ProfilesNow, Suggestion, WeakLink, suggestions
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache, GalleryGoneError

log = logging.getLogger(__name__)
T = TypeVar("T")
PAUSE = 0.25
_ORPHANED = timedelta(seconds=10)
"""After so long a gallery that another process has at hand is taken over."""
_AFTER_ERROR = 30.0
_REST = 20
"""Looking for suggestions takes at most one part in so many of the time."""


class GalleryMaintenance:
    """One instance a process. Galleries that the process has in memory are its own; others after a while."""

    def __init__(
        self, store: Store, galleries: GalleryCache, committer: Committer, clock: Callable[[], datetime]
    ) -> None:
        self._store, self._galleries, self._committer, self._clock = store, galleries, committer, clock
        self._resting: dict[str, float] = {}
        self._failed: dict[str, float] = {}

    async def round(self) -> bool:
        """A batch for each gallery that has any left, and suggestions for the others; False if there was nothing."""
        worked = False
        for waiting in await self._store.pending.find(ALL_RECLUSTERS):
            if self._ours(waiting.gallery, waiting.created_at):
                worked |= bool(await self._alone(waiting.gallery, self._committer.recluster))
        for gallery in await self._store.galleries.find(eq(GalleryRecord.suggestions_due, True)):
            rested = self._resting.get(gallery.id, 0.0) <= time.monotonic()
            if rested and self._ours(gallery.id, gallery.committed_at or gallery.created_at):
                await self._alone(gallery.id, self._suggest)
        return worked

    async def _alone(self, gallery: str, step: Callable[[str], Awaitable[T]]) -> T | None:
        """What goes wrong about one gallery is no reason to leave the others."""
        try:
            return await step(gallery)
        except UnavailableError:
            raise
        except Exception:
            log.exception("maintenance_failed", extra={"gallery": gallery})
            self._galleries.forget(gallery)
            self._failed[gallery] = time.monotonic()
            return None

    def _ours(self, gallery: str, last: datetime) -> bool:
        failed = time.monotonic() - self._failed.get(gallery, -_AFTER_ERROR) < _AFTER_ERROR
        return not failed and (self._galleries.holds(gallery) or last < self._clock() - _ORPHANED)

    async def _suggest(self, gallery: str) -> None:
        if await self._store.pending.count(eq(PendingRecord.gallery, gallery)):
            return
        started = time.monotonic()
        async with self._galleries.lock(gallery):
            try:
                cached = await self._galleries.current(gallery)
            except GalleryGoneError:
                return
            now, version = await asyncio.to_thread(ProfilesNow.of, cached.gallery), cached.version
        pairs, links = await asyncio.to_thread(suggestions, now)
        # That a picture is of somebody is what a person said.
        links = [one for one in links if not any(map(is_enrolment, one.videos))]
        found = [*(_pair(gallery, one) for one in pairs), *(_link(gallery, one) for one in links)]
        await self._store.transaction(lambda transaction: _replace(transaction, gallery, version, found))
        self._resting[gallery] = time.monotonic() + _REST * (time.monotonic() - started)


def _pair(gallery: str, found: Suggestion) -> SuggestionRecord:
    return SuggestionRecord(
        id=derived("suggestion", gallery, found.one, found.other),
        gallery=gallery,
        profiles=(found.one, found.other),
        distance=found.distance,
        likeness=found.likeness,
    )


def _link(gallery: str, found: WeakLink) -> SuggestionRecord:
    return SuggestionRecord(
        id=derived("suggestion", gallery, found.profile, *found.videos),
        gallery=gallery,
        kind="two",
        profiles=(found.profile,),
        videos=found.videos[:MOST_LINK_VIDEOS],
        distance=found.distance,
        likeness=found.likeness,
    )


async def _replace(transaction: Store, gallery: str, version: int, found: list[SuggestionRecord]) -> None:
    """These and no others, unless the gallery has moved on: then it is looked through again."""
    unmoved = with_id(gallery) & eq(GalleryRecord.version, version)
    if await transaction.galleries.update(unmoved, set_to(GalleryRecord.suggestions_due, False)) is None:
        return
    wanted = {one.id: one for one in found}
    stored = {one.id: one for one in await transaction.suggestions.find(eq(SuggestionRecord.gallery, gallery))}
    if gone := sorted(stored.keys() - wanted.keys()):
        await transaction.suggestions.delete(with_ids(gone))
    await transaction.suggestions.replace_many(one for id, one in wanted.items() if one != stored.get(id))
