"""Timelines: who is on screen in a video, and where a person was seen in the course of time."""

from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import Response

from castlist.api import resources
from castlist.service.operations import Reply, operation
from castlist.store.query import eq, with_ids
from castlist.store.records import AppearanceRecord, ProfileName, ScreenTime
from query_api.endpoints.in_path import video_in_path
from query_api.endpoints.profiles import find_profile
from query_api.endpoints.replies import INVALID, MOVED, none, one, page
from query_api.http.cursors import Order
from query_api.http.parameters import OnScreenQuery, TimelineQuery, wanted_hidden
from query_api.http.rendering import Json, json_page, json_response
from query_api.http.webvtt import Cue, webvtt
from query_api.read_model import ReadModel

_LETTERS = 8
"""Of an id, in the label of a person without a name; more of them where two would have the same."""


class Timelines:
    """/videos/…/timeline, /profiles/…/timeline"""

    def __init__(self, model: ReadModel) -> None:
        self._model = model

    @operation(
        "GET",
        "/videos/{video_id}/timeline",
        tag="videos",
        summary="Who is on screen, and when",
        replies={**one("video", resources.VideoTimeline, "Its people, each with when they are on screen."), **INVALID},
        query=OnScreenQuery,
    )
    async def video_timeline(self, request: Request, query: OnScreenQuery) -> Response:
        """Show who is on screen in a video, and in which stretches of it; who is hidden only where asked for."""
        video = await video_in_path(self._model, request)
        people = await self._people(video.id, query.hidden)
        return json_response({"video_id": video.id, "duration": video.duration, "people": people})

    @operation(
        "GET",
        "/videos/{video_id}/timeline.vtt",
        tag="videos",
        summary="Who is on screen, for a player",
        replies={200: Reply("The names as WebVTT.", media="text/vtt"), **none("video"), **INVALID},
        query=OnScreenQuery,
    )
    async def video_timeline_vtt(self, request: Request, query: OnScreenQuery) -> Response:
        """Send the names of those on screen as WebVTT: a cue for each stretch, its id that of the profile and a number.
        Somebody without a name is called by the same few letters everywhere."""
        video = await video_in_path(self._model, request)
        people = await self._people(video.id, query.hidden)
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
            **page("appearances in the order of their videos' moments", resources.TimelinePage),
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

    async def _people(self, video_id: str, hidden: str) -> list[Json]:
        """Those in a video as they are shown; who was merged away meanwhile is left out."""
        store = self._model.store
        found = await store.appearances.find_parts(ScreenTime, eq(AppearanceRecord.video_id, video_id))
        found.sort(key=lambda one: (one.first_seen, one.id))
        profiles = await store.profiles.find_parts(ProfileName, with_ids(one.profile_id for one in found))
        shown = {one.id: one for one in profiles if one.hidden in wanted_hidden(hidden)}
        labels = _labels(shown.values())
        return [
            {
                "profile_id": one.profile_id,
                "name": shown[one.profile_id].name,
                "label": labels[one.profile_id],
                "seconds": one.seconds,
                "segments": one.segments,
            }
            for one in found
            if one.profile_id in shown
        ]


def _labels(profiles: Collection[ProfileName]) -> dict[str, str]:
    """What each is called: by name, or by so many letters of the id as tell those without one apart."""
    unnamed = [one.id for one in profiles if not one.name]
    letters = _LETTERS
    while len({id[:letters] for id in unnamed}) < len(unnamed):
        letters += 1
    return {one.id: one.name or f"Person {one.id[:letters]}" for one in profiles}
