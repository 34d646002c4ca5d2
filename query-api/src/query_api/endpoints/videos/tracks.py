"""Where people are in a video, moment by moment, for a player to draw over it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from castlist.api.videos import VideoTracks
from castlist.contract.ids import run_key, track_key
from castlist.service.conditional import etag_of, is_known
from castlist.service.operations import operation
from castlist.store.packed_tracks import KeptTrack, TrackIndex, tracks_in, unpacked
from castlist.store.query import at_least, eq, with_ids, within
from castlist.store.records.persons import PersonRecord, PersonTracks, TracksRecord
from castlist.store.records.profiles import ProfileName, ProfileRecord
from castlist.store.records.videos import VideoRecord
from query_api.endpoints.named_resources import video_in_path
from query_api.endpoints.replies import INVALID, one
from query_api.http.parameters import TracksQuery, wanted_hidden
from query_api.http.rendering import Json, dumped
from query_api.read_model import ReadModel

Wanted = Callable[[float, float], bool]
"""Whether what lies between two times of the video is asked for."""


class Tracks:
    """/videos/…/tracks"""

    def __init__(self, model: ReadModel) -> None:
        self._store = model.store
        self._model = model

    @operation(
        "GET",
        "/videos/{video_id}/tracks",
        tag="videos",
        summary="Where people are in the picture",
        replies={**one("video", VideoTracks, "Its tracks, the first seen first."), **INVALID},
        query=TracksQuery,
    )
    async def video_tracks(self, request: Request, query: TracksQuery) -> Response:
        """Send where each person's face is, some boxes a second, and some of the faces that nobody was made of.

        `start` and `end` are for a player that asks for what it shows: whole tracks that are on screen between them.
        Videos of before this was kept have none, until they are done again.
        """
        video = await video_in_path(self._model, request)
        run = run_key(video.id, video.committed_epoch or 0)

        def wanted(start: float, end: float) -> bool:
            return (query.start is None or end >= query.start) and (query.end is None or start < query.end)

        parts, people = await self._parts(run, query), await self._people(run, query.hidden)
        left_out = await self._left_out(run, wanted)
        # All that the answer follows from: a run's tracks do not change.
        etag = f'"{etag_of(dumped([parts, sorted((*index, of or "") for index, of in people.items()), left_out]))}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if is_known(request.headers, etag):
            return Response(status_code=304, headers=headers)
        written = self._json(video, parts, people, left_out, wanted)
        return StreamingResponse(written, headers=headers, media_type="application/json")

    async def _json(
        self, video: VideoRecord, parts: Sequence[str], people: Mapping[TrackIndex, str | None], left_out: Json,
        wanted: Wanted,
    ) -> AsyncIterator[bytes]:  # fmt: skip
        """Written a document at a time: all the tracks of a day may be more than one process has room for."""
        separator = b""
        yield b'{"tracks":['
        for id in parts:
            if (part := await self._store.tracks.get(id)) is None:
                break  # a newer run has replaced it meanwhile
            if written := await asyncio.to_thread(_written, video, part.tracks, people, wanted):
                yield separator + written
                separator = b","
        yield b'],"left_out":' + dumped(left_out) + b"}"

    async def _parts(self, run: str, query: TracksQuery) -> list[str]:
        where = within(TracksRecord.id, f"{run}:", f"{run};")
        if query.start is not None:
            where &= at_least(TracksRecord.end, query.start)
        return sorted(await self._store.tracks.ids(where))

    async def _people(self, run: str, hidden: str) -> dict[TrackIndex, str | None]:
        """For each track whose it is; those of who is not to be shown are left out."""
        persons = await self._store.persons.find_parts(PersonTracks, within(PersonRecord.id, f"{run}:", f"{run};"))
        held = {one.profile_id for one in persons if one.profile_id is not None}
        concealed = eq(ProfileRecord.hidden, True) & with_ids(sorted(held))
        secret = {one.id for one in await self._store.profiles.find_parts(ProfileName, concealed)}
        return {
            index: one.profile_id
            for one in persons
            if (one.profile_id in secret) in wanted_hidden(hidden)
            for index in tracks_in(one.tracks)
        }

    async def _left_out(self, run: str, wanted: Wanted) -> Json:
        kept = await self._store.left_out.get(run)
        faces: dict[str, list[list[float]]] = defaultdict(list)
        for face in kept.faces if kept else ():
            if wanted(face.time, face.time):
                box = face.box
                faces[face.reason].append([face.time, box.left, box.top, box.width, box.height])
        return faces


def _written(video: VideoRecord, tracks: bytes, people: Mapping[TrackIndex, str | None], wanted: Wanted) -> bytes:
    shown = [
        _shown(video, one, people[one.chunk, one.track])
        for one in unpacked(tracks)
        if (one.chunk, one.track) in people and wanted(one.start, one.end)
    ]
    return dumped(shown)[1:-1]


def _shown(video: VideoRecord, track: KeptTrack, profile: str | None) -> Json:
    return {
        "id": track_key(video.id, video.committed_epoch or 0, track.chunk, track.track),
        "profile_id": profile,
        "start": track.start,
        "end": track.end,
        "boxes": track.boxes(),
    }
