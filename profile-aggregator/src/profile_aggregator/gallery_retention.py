"""How long galleries keep what: their settings say it, and what is older is erased by commands like anybody's.

So the gallery's changes are the log of it: each names what went, when, and `by` whom: `retention`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from castlist.contract.commands import DeleteProfile, DeleteVideo
from castlist.contract.ids import event_id
from castlist.contract.values import KEPT, Retention
from castlist.store.query import Where, below, eq, one_of, with_ids
from castlist.store.records.profiles import ProfileRecord, ProfileSeen
from castlist.store.records.videos import VideoEpoch, VideoRecord
from castlist.store.store import Store
from castlist.tasks.commands import Command, stage
from castlist.tasks.galleries import SHOWN

RETAIN_EVERY = 60.0
AT_ONCE = 200
"""Erasures of one gallery in one round."""
_LOOKED_AT = 10 * AT_ONCE
BY = "retention"
MOST_NAMED = 100
"""Videos, and people, that a preview names."""


@dataclass(frozen=True)
class Due:
    """Which videos, and which people, are older than a gallery keeps them."""

    videos: Sequence[Where]
    people: Sequence[Where]

    @classmethod
    def of(cls, gallery: str, retention: Retention, now: datetime) -> "Due":
        """By a gallery's settings."""
        videos: list[Where] = []
        people: list[Where] = []
        if retention.videos is not None:
            before, here = now - timedelta(days=retention.videos), eq(VideoRecord.gallery, gallery)
            videos = [
                here & below(VideoRecord.recorded_at, before),
                here & eq(VideoRecord.recorded_at, None) & below(VideoRecord.created_at, before),
            ]
        if retention.people is not None:
            before, there = now - timedelta(days=retention.people), eq(ProfileRecord.gallery, gallery)
            unknown = one_of(ProfileRecord.pictures, ((), None))  # whom somebody has enrolled stays
            people = [
                there & eq(ProfileRecord.hidden, hidden) & below(ProfileRecord.last_seen, before) & unknown
                for hidden in (False, True)
            ]
        return cls(videos, people)

    async def told(self, store: Store) -> dict[str, Any]:
        """How many these are, and some of them."""
        videos = [id for one in self.videos for id in await store.videos.ids(one, limit=MOST_NAMED)]
        people = [id for one in self.people for id in await store.profiles.ids(one, limit=MOST_NAMED)]
        return {
            "videos": sum([await store.videos.count(one) for one in self.videos]),
            "video_ids": videos[:MOST_NAMED],
            "people": sum([await store.profiles.count(one) for one in self.people]),
            "profile_ids": people[:MOST_NAMED],
        }


class GalleryRetention:
    """Run once in a minute; safe to repeat, and to be run by several processes."""

    def __init__(self, store: Store, ring: Callable[[str], None], clock: Callable[[], datetime]) -> None:
        self._store, self._ring, self._clock = store, ring, clock

    async def round(self) -> None:
        """Have erased what is due."""
        for gallery in await self._store.galleries.find(SHOWN):
            retention = KEPT if gallery.settings is None else gallery.settings.retention
            if retention != KEPT and await self._erase(gallery.id, Due.of(gallery.id, retention, self._clock())):
                self._ring(gallery.id)

    async def _erase(self, gallery: str, due: Due) -> bool:
        """Whether there is anything to be carried out."""
        for commands in (await self._videos(gallery, due.videos), await self._people(gallery, due.people)):
            known = set(await self._store.changes.ids(with_ids(one.event_id for one in commands)))
            new = [one for one in commands if one.event_id not in known][:AT_ONCE]
            for command in new:
                await stage(self._store, command, self._clock())
            if new:  # some people may go with the videos
                return True
        return False

    async def _videos(self, gallery: str, due: Sequence[Where]) -> list[Command]:
        found = [
            one for where in due for one in await self._store.videos.find_parts(VideoEpoch, where, limit=_LOOKED_AT)
        ]
        return [
            DeleteVideo(
                event_id=event_id("RetainVideo", one.id, one.latest_epoch),
                occurred_at=self._clock(),
                gallery=gallery,
                by=BY,
                video_id=one.id,
                erase=True,
            )
            for one in found
        ]

    async def _people(self, gallery: str, due: Sequence[Where]) -> list[Command]:
        found = [
            one for where in due for one in await self._store.profiles.find_parts(ProfileSeen, where, limit=_LOOKED_AT)
        ]
        return [
            DeleteProfile(
                event_id=event_id("RetainPerson", one.id, str(one.last_seen)),
                occurred_at=self._clock(),
                gallery=gallery,
                by=BY,
                profile_id=one.id,
                erase=True,
            )
            for one in found
        ]
