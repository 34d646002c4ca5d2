"""Timelines: who is on screen in a video, and where a person was seen in the course of time."""

from starlette.requests import Request
from starlette.responses import Response

from castlist.api.appearances import TimelinePage
from castlist.api.videos import VideoTimeline
from castlist.service.operations import Reply, operation
from castlist.store.query import eq
from castlist.store.records.appearances import AppearanceRecord
from query_api.endpoints.named_resources import find_profile, video_in_path
from query_api.endpoints.replies import INVALID, MOVED, none, one, page
from query_api.http.cursors import Order
from query_api.http.parameters import MarkerQuery, OnScreenQuery, TimelineQuery
from query_api.http.rendering import json_page, json_response
from query_api.http.webvtt import Cue, webvtt
from query_api.on_screen import people_on_screen
from query_api.read_model import ReadModel


class Timelines:
    """/videos/…/timeline, /profiles/…/timeline"""

    def __init__(self, model: ReadModel) -> None:
        self._model = model

    @operation(
        "GET",
        "/videos/{video_id}/timeline",
        tag="videos",
        summary="Who is on screen, and when",
        replies={**one("video", VideoTimeline, "Its people, each with when they are on screen."), **INVALID},
        query=OnScreenQuery,
    )
    async def video_timeline(self, request: Request, query: OnScreenQuery) -> Response:
        """Show who is on screen in a video, and in which stretches of it; who is hidden only where asked for."""
        video = await video_in_path(self._model, request)
        people = await people_on_screen(self._model.store, video.id, query)
        return json_response({"video_id": video.id, "duration": video.duration, "people": people})

    @operation(
        "GET",
        "/videos/{video_id}/timeline.vtt",
        tag="videos",
        summary="Who is on screen, for a player",
        replies={200: Reply("The names as WebVTT.", media="text/vtt"), **none("video"), **INVALID},
        query=MarkerQuery,
    )
    async def video_timeline_vtt(self, request: Request, query: MarkerQuery) -> Response:
        """Send the names of those on screen as WebVTT: a cue for each stretch, its id that of the profile and a number.
        Somebody without a name is called by the same few letters everywhere. With `profile`, that person alone."""
        video = await video_in_path(self._model, request)
        people = await people_on_screen(self._model.store, video.id, query)
        cues = [
            Cue(segment.start, segment.end, f"{person['profile_id']}-{number}", person["label"])
            for person in people
            for number, segment in enumerate(person["segments"], 1)
        ]
        return Response(webvtt(cues), media_type="text/vtt")

    @operation(
        "GET",
        "/profiles/{profile_id}/timeline",
        tag="people",
        summary="When a person was seen, over the years",
        replies={
            **page("appearances in the order of their videos' moments", TimelinePage),
            **none("profile"),
            **MOVED,
        },
        query=TimelineQuery,
    )
    async def profile_timeline(self, request: Request, query: TimelineQuery) -> Response:
        """List all appearances of a person by when their videos were recorded, or else came to us."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        order = Order(AppearanceRecord.video_at, -1 if query.sort.startswith("-") else 1)
        where, table = eq(AppearanceRecord.profile_id, found.id), self._model.store.appearances
        records, cursor = await self._model.page(table, where, order, query.limit, query.cursor)
        return json_page(request, await self._model.timeline(records), cursor)
