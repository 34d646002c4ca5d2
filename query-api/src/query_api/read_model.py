"""The records as clients see them. Every list is a fixed number of queries, however long it is."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

from msgspec.structs import replace
from orjson import Fragment

from castlist.api.profiles import Profile
from castlist.api.tasks import Task
from castlist.api.videos import Video
from castlist.contract.ids import appearance_key
from castlist.contract.values import VideoWarning
from castlist.contract.video_warnings import as_warning
from castlist.store.appearance_json import appearance_json, crop_document
from castlist.store.query import Where, eq, one_of, with_id, with_ids
from castlist.store.records.appearances import AppearanceRecord, ShownAppearance
from castlist.store.records.pending import PendingRecord
from castlist.store.records.persons import PersonProfile
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.record import Record
from castlist.store.records.tasks import TaskRecord
from castlist.store.records.videos import VideoName, VideoRecord
from castlist.store.store import Store, Table
from castlist.tasks import lifecycle
from query_api.http.cursors import Order
from query_api.http.rendering import Json, instant, renderer

R = TypeVar("R", bound=Record)
NEWEST = 100
"""How many appearances a profile shows in a list."""
NEWEST_FIRST = Order(AppearanceRecord.created_at, -1)

_task = renderer(Task, "people", "error", "eta_seconds", "warnings")
_profile = renderer(Profile, "cover", "seconds", "pictures", "appearances")
_video = renderer(Video)


class ReadModel:
    """Views on the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def page(
        self, table: Table[R], where: Where, order: Order, limit: int, cursor: str | None
    ) -> tuple[list[R], str | None]:
        """One page of records, and the cursor behind it (None at the end)."""
        records: list[R] = []
        for stretch in order.after(cursor):
            records += await table.find(where & stretch, sort=order.sort, limit=limit + 1 - len(records))
            if len(records) > limit:
                break
        more = len(records) > limit
        records = records[:limit]
        return records, order.cursor(records[-1]) if more else None

    # --- tasks --------------------------------------------------------------------------------------------------------

    async def tasks(self, records: Sequence[TaskRecord], now: datetime) -> list[Json]:
        """Tasks as shown."""
        done = sorted({task.video_id for task in records if task.status == lifecycle.DONE})
        people: dict[Any, int] = {}
        if done:
            in_videos = one_of(AppearanceRecord.video_id, done)
            people = await self.store.appearances.count_by(in_videos, AppearanceRecord.video_id)
        return [
            _task(
                task,
                people.get(task.video_id, 0) if task.status == lifecycle.DONE else None,
                task.error and {"code": task.error.code, "message": task.error.message},
                _eta(task, now),
                [_warning(one) for one in task.warnings],
            )
            for task in records
        ]

    async def task(self, task_id: str, now: datetime) -> Json | None:
        """One task as shown."""
        record = await self.store.tasks.get(task_id)
        return None if record is None else (await self.tasks([record], now))[0]

    # --- profiles -----------------------------------------------------------------------------------------------------

    async def profiles(self, records: Sequence[ProfileRecord], video_id: str | None = None) -> list[Json]:
        """Profiles as shown, with their newest appearances, or only with that in one video.

        No profile is without an appearance or a picture: those that were merged away since `records` was read are left
        out.
        """
        if video_id is not None:
            ids = with_ids(appearance_key(profile.id, video_id) for profile in records)
            found = await self.store.appearances.find_parts(ShownAppearance, ids)
            return await self._with(records, found, in_video=True)
        return await self._with(records, await self._newest(records))

    async def profile(self, profile_id: str) -> tuple[ProfileRecord | None, Json | None]:
        """One profile, and as it is shown; None where it is not there, or was merged away while we looked."""
        record, found = await asyncio.gather(self.store.profiles.get(profile_id), self._newest_of(profile_id))
        if record is None:
            return None, None
        views = await self._with([record], found)
        return record, views[0] if views else None

    async def _with(
        self, records: Sequence[ProfileRecord], found: Sequence[ShownAppearance], *, in_video: bool = False
    ) -> list[Json]:
        of: dict[str, list[tuple[datetime, str, bytes]]] = defaultdict(list)
        for one in await self._complete(found):
            of[one.profile_id].append((one.created_at, one.id, one.shown))
        return [
            _profile(
                profile,
                profile.cover and {"video_id": profile.cover},
                profile.milliseconds / 1000,
                [crop_document(one.crop) for one in profile.pictures if one.crop is not None],
                _listed(shown for _, _, shown in sorted(of[profile.id], reverse=True)[:NEWEST]),
            )
            for profile in records
            if profile.id in of or (profile.pictures and not in_video)
        ]

    async def _newest(self, records: Sequence[ProfileRecord]) -> list[ShownAppearance]:
        """The appearances of all in one query, but for those who are in so many videos that most are not shown."""
        few = [profile.id for profile in records if profile.video_count <= NEWEST]
        many = [profile.id for profile in records if profile.video_count > NEWEST]
        found = await asyncio.gather(self._all_of(few), *map(self._newest_of, many))
        return [one for some in found for one in some]

    async def _all_of(self, profiles: Sequence[str]) -> list[ShownAppearance]:
        of_these = one_of(AppearanceRecord.profile_id, profiles)
        return await self.store.appearances.find_parts(ShownAppearance, of_these) if profiles else []

    async def _newest_of(self, profile_id: str) -> list[ShownAppearance]:
        of_one = eq(AppearanceRecord.profile_id, profile_id)
        return await self.store.appearances.find_parts(ShownAppearance, of_one, sort=NEWEST_FIRST.sort, limit=NEWEST)

    async def _complete(self, found: Sequence[ShownAppearance]) -> list[ShownAppearance]:
        """The same, those of before too, which did not keep what is shown of them."""
        bare = {one.id for one in found if not one.shown}
        if not bare:
            return list(found)
        records = await self.store.appearances.find(with_ids(sorted(bare)))
        made = {one.id: shown for one, shown in zip(records, await self._shown(records), strict=True)}
        whole = [replace(one, shown=made.get(one.id, b"")) if one.id in bare else one for one in found]
        return [one for one in whole if one.shown]

    async def _shown(self, records: Sequence[AppearanceRecord]) -> list[bytes]:
        bare = sorted({one.video_id for one in records if not one.shown})
        found = await self.store.videos.find_parts(VideoName, with_ids(bare)) if bare else []
        names = {one.id: one.name for one in found}
        return [one.shown or appearance_json(one, names.get(one.video_id, "")) for one in records]

    async def appearances(self, records: Sequence[AppearanceRecord]) -> list[Fragment]:
        """Appearances as shown."""
        return [Fragment(shown) for shown in await self._shown(records)]

    async def timeline(self, records: Sequence[AppearanceRecord]) -> list[Fragment]:
        """Appearances as entries of a profile's timeline."""
        shown = await self._shown(records)
        return [
            Fragment(b'{"at":"%b",%b' % (str(instant(record.video_at or record.created_at)).encode(), one[1:]))
            for record, one in zip(records, shown, strict=True)
        ]

    async def holder(self, profile_id: str) -> ProfileRecord | None:
        """The profile of this id, or the one that an id that was merged away leads to."""
        profile = await self.store.profiles.get(profile_id)
        if profile is None and (successor := await self.successor(profile_id)) is not None:
            profile = await self.store.profiles.get(successor)
        return profile

    async def successor(self, profile_id: str) -> str | None:
        """The profile that holds the people of a retired id now; None if none does."""
        seen: set[str] = set()
        current: str | None = profile_id
        while current is not None and current not in seen:
            seen.add(current)
            if current != profile_id and await self.store.profiles.get(current) is not None:
                return current
            redirect = await self.store.redirects.get(current)
            if redirect is None:
                return None
            holder = None
            if redirect.founder:
                (*_, holder) = (None, *await self.store.persons.find_parts(PersonProfile, with_id(redirect.founder)))
            current = holder.profile_id if holder else redirect.into
        return None

    # --- videos and galleries -----------------------------------------------------------------------------------------

    def videos(self, records: Sequence[VideoRecord]) -> list[Json]:
        """Videos as shown."""
        return [_video(video) for video in records]

    async def galleries(self, ids: Sequence[str]) -> list[Json]:
        """Galleries as shown."""
        store = self.store
        # In the order in which a commit comes about: what moves on meanwhile is counted twice, never missed.
        unfinished = one_of(TaskRecord.gallery, ids) & one_of(TaskRecord.status, lifecycle.OPEN)
        open_tasks = await store.tasks.count_by(unfinished, TaskRecord.gallery)
        pending = await store.pending.count_by(one_of(PendingRecord.gallery, ids), PendingRecord.gallery)
        videos = await store.videos.count_by(one_of(VideoRecord.gallery, ids), VideoRecord.gallery)
        profiles = await store.profiles.count_by(one_of(ProfileRecord.gallery, ids), ProfileRecord.gallery)
        return [
            {
                "id": id,
                "videos": videos.get(id, 0),
                "profiles": profiles.get(id, 0),
                "tasks_open": open_tasks.get(id, 0),
                "settled": not (open_tasks.get(id) or pending.get(id)),
            }
            for id in ids
        ]


def _listed(documents: Iterable[bytes]) -> Fragment:
    return Fragment(b"[%b]" % b",".join(documents))


def _warning(told: VideoWarning | str) -> Json:
    return {name: value for name, value in asdict(as_warning(told)).items() if value is not None}


def _eta(task: TaskRecord, now: datetime) -> float | None:
    """Seconds that a task still takes, if it goes on as it went."""
    if task.status != lifecycle.PROCESSING or task.started_at is None or task.progress <= 0:
        return None
    spent = (now - task.started_at).total_seconds()
    return round(max(0.0, spent * (1 - task.progress) / task.progress), 1)
