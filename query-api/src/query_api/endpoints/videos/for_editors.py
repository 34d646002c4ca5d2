"""For who cuts videos: people as markers of a video, a person's stretches of all videos; as EDL and OpenTimelineIO."""

from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from castlist.service.operations import Replies, Reply, operation
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery
from castlist.store.query import eq, with_ids
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.profiles import ProfileName, ProfileRecord
from castlist.store.records.record import Record
from query_api.endpoints.named_resources import find_profile, video_in_path
from query_api.endpoints.replies import INVALID, MOVED, none
from query_api.http.cursors import Order
from query_api.http.edit_decisions import Marker, Stretch, marker_edl, stretches_edl
from query_api.http.editor_timeline import MEDIA_TYPE, cut_together, marked_video
from query_api.http.parameters import EdlQuery, MarkerEdlQuery, MarkerQuery
from query_api.http.rendering import dumped
from query_api.http.timecode import FrameClock
from query_api.on_screen import labels_of, people_on_screen
from query_api.read_model import ReadModel

_EDL = "text/plain"
_PAGE = 200


def _replies(meaning: str, media: str, what: str) -> Replies:
    return {200: Reply(meaning, media=media), **none(what), **INVALID, **(MOVED if what == "profile" else {})}


class FilmedVideo(Record, frozen=True, kw_only=True):
    """Of a video: what it is called, and how many frames a second it has."""

    name: str
    frame_rate: float | None = None


class ForEditors:
    """/videos/…/timeline.edl and .otio, /profiles/…/timeline.edl and .otio"""

    def __init__(self, model: ReadModel) -> None:
        self._model = model

    @operation(
        "GET",
        "/videos/{video_id}/timeline.edl",
        tag="videos",
        summary="Who is on screen, as markers of an EDL",
        replies=_replies("The markers, a CMX 3600 EDL as DaVinci Resolve reads it.", _EDL, "video"),
        query=MarkerEdlQuery,
    )
    async def video_edl(self, request: Request, query: MarkerEdlQuery) -> Response:
        """Send a marker for each stretch in which somebody is on screen, at the video's frame rate; with `profile`,
        that person's alone. `begin` is where the editor's timeline begins."""
        video = await video_in_path(self._model, request)
        clock = FrameClock.of(video.frame_rate)
        begin = _begin(clock, query)
        markers = await self._markers(video.id, query)
        return _file(marker_edl(video.name, markers, clock, begin), _EDL, f"{video.name}.edl")

    @operation(
        "GET",
        "/videos/{video_id}/timeline.otio",
        tag="videos",
        summary="Who is on screen, for OpenTimelineIO",
        replies=_replies("The video as a clip with markers.", MEDIA_TYPE, "video"),
        query=MarkerQuery,
    )
    async def video_otio(self, request: Request, query: MarkerQuery) -> Response:
        """Send the video as a timeline of one clip, with a marker for each stretch in which somebody is on screen."""
        video = await video_in_path(self._model, request)
        clock, markers = FrameClock.of(video.frame_rate), await self._markers(video.id, query)
        timeline = marked_video(video.name, video.duration or 0.0, markers, clock)
        return _file(dumped(timeline), MEDIA_TYPE, f"{video.name}.otio")

    @operation(
        "GET",
        "/profiles/{profile_id}/timeline.edl",
        tag="people",
        summary="All of a person, cut together, as an EDL",
        replies=_replies("The stretches, a CMX 3600 EDL.", _EDL, "profile"),
        query=EdlQuery,
    )
    async def profile_edl(self, request: Request, query: EdlQuery) -> Response:
        """Send the stretches of all videos in which a person is on screen, one behind the other, those of the oldest
        video first; all are counted in frames of that one's rate."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        label, stretches, clock = await self._stretches(found)
        begin = _begin(clock, query)
        return _file(stretches_edl(label, [one for one, _ in stretches], clock, begin), _EDL, f"{label}.edl")

    @operation(
        "GET",
        "/profiles/{profile_id}/timeline.otio",
        tag="people",
        summary="All of a person, cut together, for OpenTimelineIO",
        replies=_replies("A clip for each stretch.", MEDIA_TYPE, "profile"),
    )
    async def profile_otio(self, request: Request, _: NoQuery) -> Response:
        """Send a timeline with a clip for each stretch of a person, those of the oldest video first."""
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        label, stretches, clock = await self._stretches(found)
        return _file(dumped(cut_together(label, stretches, clock)), MEDIA_TYPE, f"{label}.otio")

    async def _markers(self, video_id: str, query: MarkerQuery) -> list[Marker]:
        return [
            Marker(segment.start, segment.end, person["label"], person["profile_id"])
            for person in await people_on_screen(self._model.store, video_id, query)
            for segment in person["segments"]
        ]

    async def _stretches(self, profile: ProfileRecord) -> tuple[str, list[tuple[Stretch, str]], FrameClock]:
        """What the person is called, the stretches with the ids of their videos, and the frames that they are counted
        in."""
        (label,) = labels_of([ProfileName(id=profile.id, name=profile.name)]).values()
        stretches: list[tuple[Stretch, str]] = []
        clock: FrameClock | None = None
        async for appearance, video in self._seen(profile.id):
            clock = clock or FrameClock.of(video.frame_rate)
            stretches += [
                (Stretch(video.name, segment.start, segment.end, label), video.id) for segment in appearance.segments
            ]
        return label, stretches, clock or FrameClock.of(None)

    async def _seen(self, profile_id: str) -> AsyncIterator[tuple[AppearanceRecord, FilmedVideo]]:
        store, cursor = self._model.store, None
        of_profile, order = eq(AppearanceRecord.profile_id, profile_id), Order(AppearanceRecord.video_at)
        while True:
            found, cursor = await self._model.page(store.appearances, of_profile, order, _PAGE, cursor)
            videos = await store.videos.find_parts(FilmedVideo, with_ids(one.video_id for one in found))
            known = {video.id: video for video in videos}
            for one in found:
                if one.video_id in known:
                    yield one, known[one.video_id]
            if cursor is None:
                return


def _begin(clock: FrameClock, query: EdlQuery) -> int:
    try:
        return clock.counted(query.begin)
    except ValueError as error:
        raise Problem(422, f"{error}.") from None


def _file(content: str | bytes, media: str, name: str) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, media_type=media, headers={"Content-Disposition": disposition})
