"""What other settings would make of a gallery: worked out beside the commits, batch by batch, told in the change.

Which process works it out is who hears of it; another one takes it over once nobody was at work on it for a while.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from castlist.messaging.delivery import attempted, reason_of
from castlist.store.query import at_least, below, set_to, with_id
from castlist.store.records.change_history import CommandError
from castlist.store.records.pending import PreviewRecord
from castlist.store.store import Store
from castlist.tasks.commands import apply_in, fail_in
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.galleries.settings_trial import Regrouping, SettingsTrial
from castlist_identity.matching.auto_distance import distance_for, stages_for
from profile_aggregator.commits.gallery_cache import GalleryCache, GalleryGoneError
from profile_aggregator.gallery_retention import Due
from profile_aggregator.turns import Turns

TAKE_OVER_EVERY = 5.0
_ORPHANED = timedelta(seconds=15)
MOST_GROUPS, MOST_OF_A_GROUP = 100, 100
"""How many groups of profiles that would merge are named, and how many of each; and profiles that would fall apart. All
are counted."""


class Previews:
    """One instance a process. `turns`: one preview after the other."""

    def __init__(self, store: Store, galleries: GalleryCache, clock: Callable[[], datetime]) -> None:
        self._store, self._galleries, self._clock = store, galleries, clock
        self.turns = Turns(self._take, "previews")

    async def round(self) -> None:
        """Take over what nobody is at work on."""
        there = at_least(PreviewRecord.id, "") & below(PreviewRecord.touched_at, self._clock() - _ORPHANED)
        for id in await self._store.previews.ids(there):
            self.turns.ring(id)

    async def _take(self, id: str) -> bool:
        preview = await self._store.previews.get(id)
        if preview is not None:
            told = {"gallery": preview.gallery, "change": id}
            await attempted(partial(self._work_out, preview), partial(self._give_up, preview), told)
        return False

    async def _work_out(self, preview: PreviewRecord) -> None:
        async with self._galleries.lock(preview.gallery):
            try:
                cached = await self._galleries.current(preview.gallery)
            except GalleryGoneError:
                await self._fail(preview, CommandError("not_found", "The gallery was deleted."))
                return
            known, version, setting = cached.gallery, cached.version, preview.settings.across_video_distance
            spread = await asyncio.to_thread(known.spread, GalleryChange()) if setting == "auto" else 1.0
            now, then = known.distance, distance_for(setting, known.people(GalleryChange()), spread)
            starts_over = (then, stages_for(setting)) != (now, known.stages)
            trial = await asyncio.to_thread(SettingsTrial, known)
        if starts_over:
            await asyncio.to_thread(trial.begin, then, stages_for(setting))
            while await asyncio.to_thread(trial.step):
                touched = set_to(PreviewRecord.touched_at, self._clock())
                await self._store.previews.update(with_id(preview.id), touched)
        due = Due.of(preview.gallery, preview.settings.retention, self._clock())
        detail = {
            "distance": {"now": now, "then": then},
            **_told(trial.found),
            "retention": await due.told(self._store),
        }
        await self._settle(preview, lambda told: apply_in(told, preview.id, self._clock(), version, (), detail))

    async def _give_up(self, preview: PreviewRecord, error: Exception) -> None:
        await self._fail(preview, CommandError("internal", reason_of(error)))

    async def _fail(self, preview: PreviewRecord, error: CommandError) -> None:
        await self._settle(preview, lambda told: fail_in(told, preview.id, self._clock(), error))

    async def _settle(self, preview: PreviewRecord, tell: Callable[[Store], Awaitable[None]]) -> None:
        """It is through, with this outcome."""

        async def body(transaction: Store) -> None:
            await tell(transaction)
            await transaction.previews.delete(with_id(preview.id))

        await self._store.transaction(body)


def _told(found: Regrouping) -> dict[str, Any]:
    now, then = found.profiles
    split = [{"profile": profile, "into": parts} for profile, parts in found.split.items()]
    return {
        "profiles": {"now": now, "then": then},
        "merges": len(found.merged),
        "merged": [list(profiles[:MOST_OF_A_GROUP]) for profiles in found.merged[:MOST_GROUPS]],
        "splits": len(split),
        "split": split[:MOST_GROUPS],
    }
