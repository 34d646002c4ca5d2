"""Videos: their records, their people, and the files themselves."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from castlist.api.profiles import ProfilePage
from castlist.api.videos import Video, VideoPage
from castlist.clock import now_utc
from castlist.contract.commands import DeleteVideo
from castlist.ports.errors import ObjectMissingError
from castlist.ports.objects import Objects
from castlist.service.operations import Reply, operation, problem
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery
from castlist.store.query import ANY, eq
from castlist.store.records.videos import VideoRecord
from castlist.tasks.commands import unfailed_id
from castlist.tasks.video_objects import AllowedObjects
from query_api.command_outbox import COMMANDED, CommandOutbox
from query_api.endpoints.named_resources import ensure_known, video_in_path
from query_api.endpoints.replies import none, one, page
from query_api.http.cursors import Order
from query_api.http.parameters import DeletionQuery, PeopleOfVideoQuery, ProfileQuery, VideoQuery
from query_api.http.ranges import asked_part
from query_api.http.rendering import json_page, json_response
from query_api.profile_list import ProfileList
from query_api.read_model import ReadModel

_FILE = "application/octet-stream"


class Videos:
    """/videos …"""

    def __init__(self, model: ReadModel, objects: Objects, allowed: AllowedObjects, commands: CommandOutbox) -> None:
        self._model, self._objects, self._allowed, self._commands = model, objects, allowed, commands
        self._list = ProfileList(model.store)

    @operation(
        "GET",
        "/videos",
        tag="videos",
        summary="Videos",
        replies={**page("videos, the oldest first", VideoPage), **none("gallery")},
        query=VideoQuery,
    )
    async def list_videos(self, request: Request, query: VideoQuery) -> Response:
        """List the videos that were put in, or find one by its bytes or by the id it was given elsewhere."""
        where = ANY
        if query.gallery is not None:
            where &= eq(VideoRecord.gallery, query.gallery)
        if query.sha256 is not None:
            where &= eq(VideoRecord.sha256, query.sha256)
        if query.external_id is not None:
            where &= eq(VideoRecord.external_id, query.external_id)
        order = Order(VideoRecord.created_at)
        records, cursor = await self._model.page(self._model.store.videos, where, order, query.limit, query.cursor)
        if not records:
            await ensure_known(self._model.store, query.gallery)
        return json_page(request, self._model.videos(records), cursor)

    @operation("GET", "/videos/{video_id}", tag="videos", summary="A video", replies=one("video", Video))
    async def get_video(self, request: Request, _: NoQuery) -> Response:
        """Show what is known of a video; its length and size once it was planned."""
        return json_response(self._model.videos([await video_in_path(self._model, request)])[0])

    @operation(
        "GET",
        "/videos/{video_id}/profiles",
        tag="videos",
        summary="Who is in a video",
        replies={**page("people", ProfilePage), **none("video")},
        query=PeopleOfVideoQuery,
    )
    async def video_profiles(self, request: Request, query: PeopleOfVideoQuery) -> Response:
        """List who is in a video, each with the appearance in this video only; who is hidden only where asked for."""
        video = await video_in_path(self._model, request)
        asked = ProfileQuery(video_id=video.id, hidden=query.hidden, limit=query.limit, cursor=query.cursor)
        records, cursor = await self._list.page(asked)
        return json_page(request, await self._model.profiles(records, video.id), cursor)

    @operation(
        "DELETE",
        "/videos/{video_id}",
        tag="videos",
        summary="Delete a video",
        replies={**COMMANDED, **none("video")},
        query=DeletionQuery,
    )
    async def delete_video(self, request: Request, query: DeletionQuery) -> Response:
        """Remove a video, its people from their profiles, its crops and records; its file if it came by ingest. Erased,
        names of people who are in no other video are gone too, and the change has a receipt."""
        video = await video_in_path(self._model, request)
        about = ("EraseVideo" if query.erase else "DeleteVideo", video.id, video.latest_epoch)
        command = DeleteVideo(
            event_id=await unfailed_id(self._model.store, *about),
            occurred_at=now_utc(),
            gallery=video.gallery,
            video_id=video.id,
            erase=query.erase,
        )
        return await self._commands.accept(command, request)

    @operation(
        "GET",
        "/videos/{video_id}/content",
        tag="videos",
        summary="The file",
        replies={
            200: Reply("The whole file.", media=_FILE),
            206: Reply("The range of the file that was asked for.", media=_FILE),
            304: Reply("The file has not changed."),
            416: problem("The file has no such range."),
            **none("video"),
        },
    )
    async def video_content(self, request: Request, _: NoQuery) -> Response:
        """Send the video's file, or a range of it."""
        video = await video_in_path(self._model, request)
        stored = video.object
        if not self._allowed.readable(video):
            raise Problem(404, "The file is none that may be shown.")
        try:
            info = await self._objects.head(stored.key, bucket=stored.bucket)
        except ObjectMissingError:
            raise Problem(404, "The file is not in S3 any more.") from None
        etag = f'"{info.etag}"'
        part = asked_part(request.headers, info.bytes, etag)
        # What others put into S3 may call itself anything; a browser must not run it as a page of ours.
        media = info.content_type if info.content_type.startswith("video/") else _FILE
        headers = part.headers | {
            "Accept-Ranges": "bytes",
            "ETag": etag,
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f"inline; filename*=UTF-8''{quote(video.name, safe='')}",
            "X-Content-Type-Options": "nosniff",
        }
        if request.method == "HEAD" or part.start == part.end:
            return Response(status_code=part.status, headers=headers, media_type=media)
        blocks = self._objects.read(stored.key, bucket=stored.bucket, start=part.start, end=part.end, etag=info.etag)
        return StreamingResponse(blocks, part.status, headers, media_type=media)
