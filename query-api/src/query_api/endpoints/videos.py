"""Videos: their records, their people, and the files themselves."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from castlist.clock import now_utc
from castlist.contract.commands import DeleteVideo
from castlist.contract.ids import event_id
from castlist.ports.documents import Document
from castlist.ports.errors import ObjectMissing
from castlist.ports.objects import Objects
from castlist.service.operations import NoQuery
from castlist.service.problems import Problem
from castlist.store.collections import APPEARANCES, PROFILES, VIDEOS
from query_api import views
from query_api.command_outbox import Commands
from query_api.http.cursors import Order
from query_api.http.parameters import Paged, VideoQuery
from query_api.http.ranges import asked_part
from query_api.http.responses import answer
from query_api.read_model import Reading


class Videos:
    """GET /videos …"""

    def __init__(self, reading: Reading, objects: Objects, commands: Commands) -> None:
        self._reading, self._objects, self._commands = reading, objects, commands

    async def list_videos(self, _: Request, query: VideoQuery) -> Response:
        """Videos, oldest first."""
        where = query.model_dump(include={"gallery", "sha256", "external_id"}, exclude_none=True)
        rows, cursor = await self._reading.page(VIDEOS, where, Order("created_at"), query.limit, query.cursor)
        return answer({"items": [views.video(row) for row in rows], "next_cursor": cursor})

    async def get_video(self, request: Request, _: NoQuery) -> Response:
        """One video."""
        return answer(views.video(await self._video(request)))

    async def video_profiles(self, request: Request, query: Paged) -> Response:
        """Who is in a video, each with the appearance in this video only."""
        row = await self._video(request)
        found = await self._reading.documents.find(APPEARANCES, {"video_id": row["_id"]}, fields=("profile_id",))
        where = {"_id": {"$in": sorted(one["profile_id"] for one in found)}}
        rows, cursor = await self._reading.page(PROFILES, where, Order("created_at"), query.limit, query.cursor)
        return answer({"items": await self._reading.profiles(rows, row["_id"]), "next_cursor": cursor})

    async def delete_video(self, request: Request, _: NoQuery) -> Response:
        """Remove a video, its people from their profiles, its crops and records."""
        row = await self._video(request)
        command = DeleteVideo(
            event_id=event_id("DeleteVideo", row["_id"], row["latest_epoch"]),
            occurred_at=now_utc(),
            gallery=row["gallery"],
            video_id=row["_id"],
        )
        return await self._commands.accept(command, row["gallery"])

    async def video_content(self, request: Request, _: NoQuery) -> Response:
        """The file, or a range of it."""
        row = await self._video(request)
        stored = row["object"]
        try:
            info = await self._objects.head(stored["key"], bucket=stored["bucket"])
        except ObjectMissing:
            raise Problem(404, "The file is not in S3 any more.") from None
        etag = f'"{info.etag}"'
        part = asked_part(request.headers, info.bytes, etag)
        # What others put into S3 may call itself anything; a browser must not run it as a page of ours.
        media = info.content_type if info.content_type.startswith("video/") else "application/octet-stream"
        headers = part.headers | {
            "Accept-Ranges": "bytes",
            "ETag": etag,
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f"inline; filename*=UTF-8''{quote(row['name'], safe='')}",
            "X-Content-Type-Options": "nosniff",
        }
        if request.method == "HEAD" or part.start == part.end:
            return Response(status_code=part.status, headers=headers, media_type=media)
        blocks = self._objects.read(
            stored["key"], bucket=stored["bucket"], start=part.start, end=part.end, etag=info.etag
        )
        return StreamingResponse(blocks, part.status, headers, media_type=media)

    async def _video(self, request: Request) -> Document:
        row = await self._reading.documents.get(VIDEOS, request.path_params["video_id"])
        if row is None:
            raise Problem(404, "There is no such video.")
        return row
