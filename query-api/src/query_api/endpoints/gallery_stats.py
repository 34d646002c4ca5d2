"""How much is in a gallery: sums that indexes alone answer, however many people and videos there are."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from castlist.api import resources
from castlist.service.operations import operation
from castlist.service.request_parsing import NoQuery
from castlist.store.query import at_least, eq
from castlist.store.records import ProfileRecord, TaskRecord, VideoRecord
from castlist.store.store import Store
from castlist.tasks.lifecycle import FINAL, OPEN
from query_api.endpoints.galleries import known_gallery
from query_api.endpoints.replies import one
from query_api.http.rendering import Json, json_response


class StatsOfGalleries:
    """/galleries/…/stats"""

    def __init__(self, store: Store) -> None:
        self._store = store

    @operation(
        "GET",
        "/galleries/{gallery}/stats",
        tag="galleries",
        summary="How much is in a gallery",
        replies=one("gallery", resources.GalleryStats, "Its numbers, as they are now."),
    )
    async def gallery_stats(self, request: Request, _: NoQuery) -> Response:
        """Show how many videos, people and appearances there are, how long they are, and what was left out."""
        gallery = await known_gallery(self._store, request.path_params["gallery"])
        people, videos, tasks = await asyncio.gather(
            self._people(gallery.id), self._videos(gallery.id), self._tasks(gallery.id)
        )
        return json_response(
            {"id": gallery.id, **videos, **people, "faces_skipped": gallery.faces_skipped, "tasks": tasks}
        )

    async def _people(self, gallery: str) -> Json:
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
