"""What a commit needs to know of when people were seen before it.

A presenter in 100,000 videos costs no more than anybody: only appearances that change are read, and of the others the
earliest or the latest where that one goes. The gallery's compare-and-swap makes sure that nothing else changed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from castlist.contract.ids import appearance_key, is_enrolment
from castlist.store.query import ascending, descending, eq, one_of, with_ids
from castlist.store.records.appearances import AppearanceRecord, AppearanceTotals
from castlist.store.records.profiles import ProfileTotals
from castlist.store.records.record import Record
from castlist.store.records.videos import VideoMoment
from castlist.store.store import Store, Table
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryDiff
from profile_aggregator.commits.profile_totals import SeenBefore, ends

R = TypeVar("R", bound=Record)
_FEW = 100
"""Up to so many of a profile's appearances are read at once with those of others."""
_OLDEST_FIRST = [ascending(AppearanceRecord.video_at), ascending(AppearanceRecord.id)]
_NEWEST_FIRST = [descending(AppearanceRecord.video_at), descending(AppearanceRecord.id)]


async def seen_before(store: Store, diff: GalleryDiff, known: Gallery, now: datetime) -> SeenBefore | None:
    """What of MongoDB `diff` needs; None where MongoDB is not where `known` is."""
    appearances_changed = {pair: keys for pair, keys in diff.appearances.items() if not is_enrolment(pair[1])}
    videos = sorted({video for (_, video), keys in appearances_changed.items() if keys})
    changed = [
        appearance_key(profile, video)
        for profile, video in appearances_changed
        if any(known.profile_of[key] == profile for key in known.persons_of(video))
    ]
    staying = sorted({profile for profile, _ in diff.appearances if known.videos_of(profile) and diff.videos[profile]})
    moments, appearances, profiles = await asyncio.gather(
        _parts_of(store.videos, VideoMoment, videos),
        _parts_of(store.appearances, AppearanceTotals, changed),
        _parts_of(store.profiles, ProfileTotals, staying),
    )
    if len(appearances) < len(changed) or len(profiles) < len(staying):
        return None
    gone = {appearance_key(*pair) for pair, keys in appearances_changed.items() if not keys} & appearances.keys()
    return SeenBefore(
        # A video that goes at this moment has a commit of its own that removes whoever is in it.
        {
            video: moments.get(video) or VideoMoment(id=video, name="", recorded_at=None, created_at=now)
            for video in videos
        },
        appearances,
        profiles,
        await _staying(store, known, profiles, [appearances[key] for key in sorted(gone)]),
    )


async def _staying(
    store: Store, known: Gallery, profiles: Mapping[str, ProfileTotals], gone: Sequence[AppearanceTotals]
) -> dict[str, list[datetime]]:
    """For each profile that loses its earliest or latest appearance: moments of those that stay, both ends of them."""
    going: dict[str, set[str]] = defaultdict(set)
    at_an_end: set[str] = set()
    for one in gone:
        going[one.profile_id].add(one.id)
        if one.profile_id in profiles and one.video_at in ends(profiles[one.profile_id]):
            at_an_end.add(one.profile_id)
    few = sorted(profile for profile in at_an_end if known.videos_of(profile) <= _FEW)
    many = sorted(at_an_end - set(few))
    find, of = store.appearances.find_parts, AppearanceRecord.profile_id
    queries = [
        find(AppearanceTotals, eq(of, profile), sort=order, limit=len(going[profile]) + 1)
        for profile in many
        for order in (_OLDEST_FIRST, _NEWEST_FIRST)
    ]
    if few:
        queries.append(find(AppearanceTotals, one_of(of, few)))
    staying: dict[str, list[datetime]] = {profile: [] for profile in at_an_end}
    for found in await asyncio.gather(*queries):
        for one in found:
            if one.id not in going[one.profile_id] and one.video_at is not None:
                staying[one.profile_id].append(one.video_at)
    return staying


async def _parts_of(table: Table[Any], part: type[R], ids: Sequence[str]) -> dict[str, R]:
    return {one.id: one for one in await table.find_parts(part, with_ids(ids))} if ids else {}
