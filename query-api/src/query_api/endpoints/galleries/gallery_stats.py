"""How much is in a gallery: sums that indexes alone answer, however many people and videos there are."""

import asyncio
from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import Response

from castlist.api.galleries import GalleryStats
from castlist.service.operations import operation
from castlist.service.request_parsing import NoQuery
from castlist.store.query import at_least, eq
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.tasks import TaskRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from castlist.tasks.lifecycle import FINAL, OPEN
from query_api.endpoints.named_resources import known_gallery
from query_api.endpoints.replies import one
from query_api.http.rendering import Json, json_response

_GALLERIES = 100
"""Of so many the numbers are remembered."""


class StatsOfGalleries:
    """/galleries/…/stats"""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, tuple[int, Json]] = OrderedDict()

    @operation(
        "GET",
        "/galleries/{gallery}/stats",
        tag="galleries",
        summary="How much is in a gallery",
        replies=one("gallery", GalleryStats, "Its numbers, as they are now."),
    )
    async def gallery_stats(self, request: Request, _: NoQuery) -> Response:
        """Show how many videos, people and appearances there are, how long they are, and what was left out."""
        gallery = await known_gallery(self._store, request.path_params["gallery"])
        people, videos, tasks = await asyncio.gather(
            self._people(gallery), self._videos(gallery.id), self._tasks(gallery.id)
        )
        return json_response(
            {"id": gallery.id, **videos, **people, "faces_skipped": gallery.faces_skipped, "tasks": tasks}
        )

    async def _people(self, gallery: GalleryRecord) -> Json:
        """Added up once a version: commits alone change them."""
        version, numbers = self._known.pop(gallery.id, (-1, {}))
        if version != gallery.version:
            numbers = await self._added_up(gallery.id)
        self._known[gallery.id] = gallery.version, numbers
        if len(self._known) > _GALLERIES:
            self._known.popitem(last=False)
        return numbers

    async def _added_up(self, gallery: str) -> Json:
        there = eq(ProfileRecord.gallery, gallery)
        people = await self._store.profiles.count(there)
        named = await self._store.profiles.count(there & at_least(ProfileRecord.folded_name, ""))
        return {
            "people": people,
            "named": named,
            "unnamed": people - named,
            "hidden": await self._store.profiles.count(there & eq(ProfileRecord.hidden, True)),
            "appearances": int(await self._store.profiles.sum_of(there, ProfileRecord.video_count)),
            "screen_seconds": await self._store.profiles.sum_of(there, ProfileRecord.milliseconds) / 1000,
        }

    async def _videos(self, gallery: str) -> Json:
        there = eq(VideoRecord.gallery, gallery)
        seconds = await self._store.videos.sum_of(there, VideoRecord.duration)
        return {"videos": await self._store.videos.count(there), "video_seconds": round(seconds, 3)}

    async def _tasks(self, gallery: str) -> Json:
        counts = await self._store.tasks.count_by(eq(TaskRecord.gallery, gallery), TaskRecord.status)
        return {status: counts.get(status, 0) for status in (*OPEN, *FINAL)}
