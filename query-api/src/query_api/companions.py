"""Who is in a video with a profile, or on screen with it at the same time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from castlist.contract.ids import appearance_key
from castlist.contract.values import Segment
from castlist.store.query import above, ascending, below, eq, one_of, with_ids
from castlist.store.records.appearances import AppearanceProfile, AppearanceRecord, AppearanceVideo, ScreenTime
from castlist.store.records.profiles import ProfileRecord
from castlist.store.store import Store

FEW_VIDEOS = 200
"""Up to so many videos of a profile are looked through for who else is in them."""
FEW_PEOPLE = 2_000
"""Up to so many who are in them are taken for a list of their own."""
_AT_ONCE = 1_000


class Companions:
    """Of one profile. `together`: at the same time."""

    def __init__(self, store: Store, profile: ProfileRecord, together: bool) -> None:
        self._store, self._profile, self._together = store, profile, together

    async def all(self) -> set[str] | None:
        """Everybody; None where that may be many: then `among` says of some at a time who is one."""
        if self._profile.video_count > FEW_VIDEOS:
            return None
        own = await self._store.appearances.find_parts(
            AppearanceVideo, eq(AppearanceRecord.profile_id, self._profile.id), limit=FEW_VIDEOS + 1
        )
        videos = one_of(AppearanceRecord.video_id, [one.video_id for one in own])
        found = await self._store.appearances.find_parts(AppearanceProfile, videos, limit=FEW_PEOPLE + 1)
        if len(found) > FEW_PEOPLE:
            return None
        others = [one for one in found if one.profile_id != self._profile.id]
        if self._together:
            return await self._on_screen_with([one.id for one in others])
        return {one.profile_id for one in others}

    async def among(self, profiles: Sequence[ProfileRecord]) -> set[str]:
        """Who of these is one."""
        others = [one for one in profiles if one.id != self._profile.id]
        few = [one.id for one in others if one.video_count <= FEW_VIDEOS]
        of_few = one_of(AppearanceRecord.profile_id, few)
        appearances = await self._store.appearances.ids(of_few) if few else []
        found = await self._meeting(appearances)
        for one in others:
            if one.video_count > FEW_VIDEOS and await self._meets(one):
                found.add(one.id)
        return found

    async def _meets(self, other: ProfileRecord) -> bool:
        """Of two who are in many videos: whether they meet in one, looked for from the first on."""
        seldom = min(other, self._profile, key=lambda one: one.video_count)
        after = f"{seldom.id}:"
        while True:
            stretch = above(AppearanceRecord.id, after) & below(AppearanceRecord.id, f"{seldom.id};")
            keys = await self._store.appearances.find_parts(
                AppearanceProfile, stretch, sort=[ascending(AppearanceRecord.id)], limit=_AT_ONCE
            )
            if not keys:
                return False
            if await self._meeting(appearance_key(other.id, _video_in(one.id)) for one in keys):
                return True
            after = keys[-1].id

    async def _meeting(self, appearances: Iterable[str]) -> set[str]:
        """Whose these appearances of others are that are in a video of the profile, or at the same time."""
        theirs: dict[str, list[str]] = defaultdict(list)
        for key in appearances:
            theirs[appearance_key(self._profile.id, _video_in(key))].append(key)
        shared = await self._store.appearances.ids(with_ids(sorted(theirs))) if theirs else []
        met = [key for own in shared for key in theirs[own]]
        if self._together:
            return await self._on_screen_with(met)
        # The other may not be there: of two who are in many videos one side alone is known.
        return {key.partition(":")[0] for key in await self._store.appearances.ids(with_ids(met))} if met else set()

    async def _on_screen_with(self, appearances: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for first in range(0, len(appearances), _AT_ONCE):
            some = appearances[first : first + _AT_ONCE]
            own = {appearance_key(self._profile.id, _video_in(key)) for key in some}
            both = await self._store.appearances.find_parts(ScreenTime, with_ids(sorted({*some, *own})))
            segments = {one.id: one.segments for one in both}
            for key in some:
                mine = segments.get(appearance_key(self._profile.id, _video_in(key)), ())
                if key in segments and _overlap(mine, segments[key]):
                    found.add(key.partition(":")[0])
        return found


def _video_in(appearance: str) -> str:
    return appearance.partition(":")[2]


def _overlap(some: Sequence[Segment], others: Sequence[Segment]) -> bool:
    """Whether any two stretches share a moment; both are in the order of time."""
    mine, theirs = iter(some), iter(others)
    one, other = next(mine, None), next(theirs, None)
    while one is not None and other is not None:
        if one.start <= other.end and other.start <= one.end:
            return True
        if one.end < other.end:
            one = next(mine, None)
        else:
            other = next(theirs, None)
    return False
