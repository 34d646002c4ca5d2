"""Which people a list shows, page by page, whatever is asked for: narrowed by one index, the rest looked at one by one.

A page looks at EXAMINED profiles at most. Where few of them are wanted it may have fewer than were asked for, or none,
and its cursor says where it goes on.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from castlist.contract.text import folded
from castlist.store.query import ANY, Where, at_least, begins_with, below, eq, one_of, with_ids, within
from castlist.store.records.appearances import AppearanceProfile, AppearanceRecord
from castlist.store.records.profiles import ProfileRecord
from castlist.store.store import Store
from query_api.companions import FEW_VIDEOS, Companions
from query_api.http.cursors import Order
from query_api.http.parameters import ProfileQuery, wanted_hidden

EXAMINED = 1_000
FEW = 500
"""Up to so many whom a filter leaves are taken out of its index and put in order here."""
_BATCH = 250
_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_ORDERS: dict[str, tuple[Any, Any]] = {
    "created_at": (ProfileRecord.created_at, None),
    "name": (ProfileRecord.folded_name, ""),
    "last_seen": (ProfileRecord.last_seen, _NEVER),
    "videos": (ProfileRecord.video_count, None),
    "seconds": (ProfileRecord.milliseconds, None),
}

_INDEXED = (ProfileRecord.folded_name, ProfileRecord.last_seen, ProfileRecord.video_count)
"""Fields by which few are found in any gallery."""


def order_of(sort: str) -> Order:
    """As it is asked for."""
    member, lowest = _ORDERS[sort.removeprefix("-")]
    return Order(member, -1 if sort.startswith("-") else 1, lowest)


@dataclass(frozen=True)
class Filter:
    """One thing that is asked of a profile: as a filter, and of a record. `member`: the field that it is about."""

    member: Any
    where: Where
    holds: Callable[[ProfileRecord], bool]


def filters_of(query: ProfileQuery) -> list[Filter]:
    """What is asked, but for the gallery and whether it is hidden; what leaves few comes first."""
    found: list[Filter] = []

    def add(member: Any, where: Where, holds: Callable[[ProfileRecord], bool]) -> None:
        found.append(Filter(member, where, holds))

    if query.name is not None:
        prefix = folded(query.name)
        named = ProfileRecord.folded_name
        add(named, begins_with(named, prefix), lambda one: (one.folded_name or "").startswith(prefix))
    if (tag := query.tag) is not None:
        add(ProfileRecord.tags, eq(ProfileRecord.tags, tag), lambda one: tag in one.tags)
    if (after := query.seen_after) is not None:
        last = ProfileRecord.last_seen
        add(last, at_least(last, after), lambda one: one.last_seen is not None and one.last_seen >= after)
    if (videos := query.min_videos) is not None:
        count = ProfileRecord.video_count
        add(count, at_least(count, videos), lambda one: one.video_count >= videos)
    if (before := query.seen_before) is not None:
        first = ProfileRecord.first_seen
        add(first, below(first, before), lambda one: one.first_seen is not None and one.first_seen < before)
    if query.unnamed is not None:
        named = ProfileRecord.folded_name
        where = eq(named, None) if query.unnamed else at_least(named, "")
        add(named, where, lambda one: (one.folded_name is None) == query.unnamed)
    return found


class ProfileList:
    """Finds the profiles of a page."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self, query: ProfileQuery, companion: ProfileRecord | None = None
    ) -> tuple[list[ProfileRecord], str | None]:
        """The profiles, and the cursor behind them (None at the end). `companion` is the one that `with` names."""
        order, here, filters = order_of(query.sort), _here(query), filters_of(query)
        exact, rest = _by_one_index(query, order, filters)
        companions = Companions(self._store, companion, query.together) if companion is not None else None
        known = await companions.all() if companions is not None else None
        among = companions if known is None else None
        if query.video_id is not None:
            in_video = await self._in_video(query.video_id)
            known = in_video if known is None else in_video & known
        if known is None:
            known = await self._few(query, here, rest)
        if known is not None:
            stored = await self._store.profiles.find(with_ids(sorted(known)))
            there = [one for one in stored if _is_here(query, one)]
            batches = _in_batches(order.in_order(there, query.cursor))
            return await self._collect(batches, query, order, filters, among)
        size = _BATCH if rest or among is not None or _between(query) else query.limit + 1
        stretches = self._stretches([one & exact for one in here], order, query.cursor, size)
        return await self._collect(stretches, query, order, rest, among)

    async def _stretches(
        self, places: Sequence[Where], order: Order, cursor: str | None, size: int
    ) -> AsyncIterator[list[ProfileRecord]]:
        """Whom an index has behind the cursor, in one or several places of it; so many at a time."""
        while True:
            some: list[ProfileRecord] = []
            for stretch in order.after(cursor):
                found, room = [], size - len(some)
                for where in places:
                    found += await self._store.profiles.find(where & stretch, sort=order.sort, limit=room)
                some += order.in_order(found)[:room] if len(places) > 1 else found
                if len(some) == size:
                    break
            if some:
                yield some
            if len(some) < size:
                return
            cursor = order.cursor(some[-1])

    async def _collect(
        self,
        batches: AsyncIterator[list[ProfileRecord]],
        query: ProfileQuery,
        order: Order,
        filters: Sequence[Filter],
        among: Companions | None,
    ) -> tuple[list[ProfileRecord], str | None]:
        found: list[ProfileRecord] = []
        examined = 0
        async for some in batches:
            held = [one for one in some if all(filter.holds(one) for filter in filters)]
            if held and query.seen_after is not None and query.seen_before is not None:
                seen = await self._seen_between(held, query.seen_after, query.seen_before)
                held = [one for one in held if one.id in seen]
            if held and among is not None:
                met = await among.among(held)
                held = [one for one in held if one.id in met]
            found += held
            examined += len(some)
            if len(found) > query.limit:
                return found[: query.limit], order.cursor(found[query.limit - 1])
            if examined >= EXAMINED:
                return found, order.cursor(some[-1])
        return found, None

    async def _in_video(self, video_id: str) -> set[str]:
        found = await self._store.appearances.find_parts(AppearanceProfile, eq(AppearanceRecord.video_id, video_id))
        return {one.profile_id for one in found}

    async def _few(self, query: ProfileQuery, here: Sequence[Where], filters: Sequence[Filter]) -> set[str] | None:
        """Whom one of the filters leaves, where these are few."""
        for filter in filters:
            if filter.member in _INDEXED or (filter.member is ProfileRecord.tags and query.gallery is not None):
                found: list[str] = []
                for where in here:
                    found += await self._store.profiles.ids(where & filter.where, limit=FEW + 1)
                if len(found) <= FEW:
                    return set(found)
        return None

    async def _seen_between(self, profiles: Sequence[ProfileRecord], after: datetime, before: datetime) -> set[str]:
        """Who of these is in a video from then and before then."""
        then = within(AppearanceRecord.video_at, after, before)
        few = [one.id for one in profiles if one.video_count <= FEW_VIDEOS]
        found = await self._store.appearances.find_parts(
            AppearanceProfile, one_of(AppearanceRecord.profile_id, few) & then
        )
        for one in profiles:
            if one.video_count > FEW_VIDEOS:
                of_one = eq(AppearanceRecord.profile_id, one.id) & then
                found += await self._store.appearances.find_parts(AppearanceProfile, of_one, limit=1)
        return {one.profile_id for one in found}


def _here(query: ProfileQuery) -> list[Where]:
    """In the gallery, and hidden or not, as asked: each a place in an index. Of both at once MongoDB sorts some."""
    gallery = ANY if query.gallery is None else eq(ProfileRecord.gallery, query.gallery)
    return [gallery & eq(ProfileRecord.hidden, hidden) for hidden in wanted_hidden(query.hidden)]


def _is_here(query: ProfileQuery, one: ProfileRecord) -> bool:
    return query.gallery in (None, one.gallery) and one.hidden in wanted_hidden(query.hidden)


def _between(query: ProfileQuery) -> bool:
    return query.seen_after is not None and query.seen_before is not None


def _by_one_index(query: ProfileQuery, order: Order, filters: Sequence[Filter]) -> tuple[Where, list[Filter]]:
    """What the index of the order answers as well, and the filters that it does not."""
    exact = [one for one in filters if one.member is order.member]
    if not exact and order.member is ProfileRecord.created_at and query.gallery is not None:
        unnamed = query.unnamed is True and query.name is None
        members = [ProfileRecord.tags, *([ProfileRecord.folded_name] if unnamed else [])]
        exact = [one for one in filters if one.member in members][:1]
    where = ANY
    for one in exact:
        where &= one.where
    return where, [one for one in filters if one not in exact]


async def _in_batches(profiles: Sequence[ProfileRecord]) -> AsyncIterator[list[ProfileRecord]]:
    for first in range(0, len(profiles), _BATCH):
        yield list(profiles[first : first + _BATCH])
