"""The face indexes of galleries, each as its gallery is now.

What a commit changes is read from the gallery's log, from the version on that is known: a search after a commit costs
what the commit did. Only where the log does not reach back so far is a gallery read as a whole.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from castlist.contract.values import ENCODING_SIZE
from castlist.ports.errors import UnavailableError
from castlist.store.committed_persons import pages_of_persons
from castlist.store.query import above, ascending, eq, with_ids
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.outbox import GalleryLogRecord
from castlist.store.records.persons import PersonFace
from castlist.store.store import Store
from castlist_identity.search.face_index import FaceIndex, Person

PAGE = 1_000
"""Persons read at a time: so many hold up other requests for some milliseconds."""
LOGGED = 64
"""Parts of the log read at a time."""
_TRIES = 3
Event = Mapping[str, Any]


@dataclass
class _Held:
    """An index as its gallery was at `version`; `told` is the last version that had events. None: not read yet."""

    index: FaceIndex = field(default_factory=FaceIndex)
    version: int | None = None
    told: int | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class _LogMissingError(Exception):
    """The log does not say what happened since."""


class GalleryIndexes:
    """Those used last, within `room` bytes beside the one in use."""

    def __init__(self, store: Store, room: int) -> None:
        self._store, self._room = store, room
        self._held: OrderedDict[str, _Held] = OrderedDict()

    @asynccontextmanager
    async def current(self, gallery: str) -> AsyncIterator[FaceIndex]:
        """The index of a gallery at the version stored now, or a later one; it stays so while inside."""
        held = self._held.setdefault(gallery, _Held())
        self._held.move_to_end(gallery)
        async with held.lock:
            try:
                await self._bring_up(gallery, held)
            except BaseException:
                self._held.pop(gallery, None)
                raise
            yield held.index
        self._make_room()

    def _make_room(self) -> None:
        while len(self._held) > 1 and sum(one.index.size for one in self._held.values()) > self._room:
            self._held.popitem(last=False)

    async def _bring_up(self, gallery: str, held: _Held) -> None:
        record = await self._store.galleries.get(gallery)
        version = record.version if record else 0
        if held.version == version:
            return
        if held.version is None or held.version > version:
            record = await self._load(gallery, held)
        for _ in range(_TRIES):
            try:
                await self._follow(gallery, held, record)
            except _LogMissingError:
                record = await self._load(gallery, held)
            else:
                return
        raise UnavailableError(f"gallery {gallery} changes faster than it can be read")

    async def _load(self, gallery: str, held: _Held) -> GalleryRecord | None:
        """Everybody; returns the gallery as it was afterwards.

        What is committed meanwhile may be in it or not: the log, followed from before it, makes that good.
        """
        before = await self._store.galleries.get(gallery)
        held.index = FaceIndex()
        async for page in pages_of_persons(self._store, gallery, PersonFace, PAGE):
            await asyncio.to_thread(held.index.change, {one.id: one.profile_id for one in page}, _persons(page))
        held.version = before.version if before else 0
        held.told = before.told if before and before.version else 0
        return await self._store.galleries.get(gallery)

    async def _follow(self, gallery: str, held: _Held, record: GalleryRecord | None) -> None:
        """Change the index as commits did since its version. _LogMissingError where that cannot be told."""
        limit = LOGGED
        while True:
            of_gallery = eq(GalleryLogRecord.gallery, gallery) & above(GalleryLogRecord.version, held.version)
            order = [ascending(GalleryLogRecord.version), ascending(GalleryLogRecord.part)]
            logged = await self._store.gallery_log.find(of_gallery, sort=order, limit=limit)
            versions = [(version, list(parts)) for version, parts in groupby(logged, key=lambda one: one.version)]
            if len(logged) == limit:  # of the last one parts may be missing
                versions.pop()
                if not versions:
                    limit *= 2
                    continue
            if not versions:
                break
            for version, parts in versions:
                await self._apply(held, version, parts)
            if len(logged) < limit:
                break
        if record is not None:
            if (held.told or 0) < (record.told or 0):
                raise _LogMissingError
            held.version = max(held.version or 0, record.version)

    async def _apply(self, held: _Held, version: int, parts: Sequence[GalleryLogRecord]) -> None:
        events = await asyncio.to_thread(_gallery_events, parts)
        if events:
            first = events[0]
            if first["event"] == "GalleryDeleted":
                raise _LogMissingError
            if first["count"] != len(events) or first["previous_version"] != held.told:
                raise _LogMissingError
            placed = await asyncio.to_thread(placements, held.index, events)
            unknown = [key for key, profile in placed.items() if profile is not None and key not in held.index]
            new: dict[str, Person] = {}
            for start in range(0, len(unknown), PAGE):
                some = with_ids(unknown[start : start + PAGE])
                new |= _persons(await self._store.persons.find_parts(PersonFace, some))
            await asyncio.to_thread(held.index.change, placed, new)
            held.told = version
        held.version = version


def _gallery_events(parts: Iterable[GalleryLogRecord]) -> list[Event]:
    """What a commit says of the gallery, in order; that tasks have finished is no part of its history."""
    events = (json.loads(event) for part in parts for event in part.events)
    return [event for event in events if "gallery_version" in event]


def placements(index: FaceIndex, events: Iterable[Event]) -> dict[str, str | None]:
    """Where the persons are that a commit's events are about: profiles, None for nowhere any more.

    Whoever moves is named by the appearance in which they are from then on.
    """
    placed: dict[str, str | None] = {}
    whole: dict[tuple[str, str], set[str]] = {}

    def there(profile: str, video: str) -> set[str]:
        """Those who were there, and whom no event has put elsewhere."""
        return {key for key in index.appearance(profile, video) if placed.get(key, profile) == profile}

    for event in events:
        match event["event"]:
            case "PersonAppeared":
                place = event["profile_id"], event["video_id"]
                if not event.get("part"):
                    whole[place] = there(*place)
                whole[place] -= set(event["persons"])
                placed |= dict.fromkeys(event["persons"], place[0])
                if event.get("part", 0) + 1 == event.get("parts", 1):
                    placed |= dict.fromkeys(whole[place], None)
            case "AppearanceRemoved":
                placed |= dict.fromkeys(there(event["profile_id"], event["video_id"]), None)
            case "PicturesAdded":
                placed |= dict.fromkeys(there(event["profile_id"], event["enrolment_id"]), None)
                placed |= dict.fromkeys(event["persons"], event["profile_id"])
            case "PicturesRemoved":
                placed |= dict.fromkeys(there(event["profile_id"], event["enrolment_id"]), None)
    return placed


def _persons(found: Iterable[PersonFace]) -> dict[str, Person]:
    """Those who have an encoding."""
    size = ENCODING_SIZE * 4
    return {one.id: Person(np.frombuffer(one.mean, "<f4"), one.variance) for one in found if len(one.mean) == size}
