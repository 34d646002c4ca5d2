"""All appearances of a gallery as a table: for spreadsheets, and for whatever else works with rows."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from castlist.service.operations import Replies, Reply, operation
from castlist.store.query import eq, with_ids
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.profiles import ProfileName
from castlist.store.records.videos import VideoMoment
from query_api.endpoints.named_resources import known_gallery
from query_api.endpoints.replies import INVALID, none
from query_api.http.parameters import OnScreenQuery, wanted_hidden
from query_api.http.rendering import Json, dumped, instant
from query_api.http.tables import csv_rows
from query_api.read_model import ReadModel

_PAGE = 500
_CSV, _JSON_LINES = "text/csv", "application/jsonl"
COLUMNS = (
    *("gallery", "profile_id", "name", "video_id", "video_name", "recorded_at"),
    *("first_seen", "last_seen", "seconds", "faces", "manual", "segments", "crop"),
)


def _replies(media: str) -> Replies:
    return {200: Reply("A row for each appearance.", media=media), **none("gallery"), **INVALID}


class AppearanceTables:
    """/galleries/…/appearances.csv and .jsonl"""

    def __init__(self, model: ReadModel) -> None:
        self._model = model

    @operation(
        "GET",
        "/galleries/{gallery}/appearances.csv",
        tag="galleries",
        summary="Who is where, as CSV",
        replies=_replies(_CSV),
        query=OnScreenQuery,
    )
    async def appearances_csv(self, request: Request, query: OnScreenQuery) -> Response:
        """Send a row for each appearance in a gallery, times in seconds of the video; `segments` are written as
        `start-end`, with blanks between them."""
        return await self._table(request, query, _CSV, _as_csv, csv_rows([COLUMNS]))

    @operation(
        "GET",
        "/galleries/{gallery}/appearances.jsonl",
        tag="galleries",
        summary="Who is where, as JSON Lines",
        replies=_replies(_JSON_LINES),
        query=OnScreenQuery,
    )
    async def appearances_jsonl(self, request: Request, query: OnScreenQuery) -> Response:
        """Send a line of JSON for each appearance in a gallery, times in seconds of the video."""
        return await self._table(request, query, _JSON_LINES, _as_json_lines)

    async def _table(
        self,
        request: Request,
        query: OnScreenQuery,
        media: str,
        written: Callable[[Iterable[Json]], bytes],
        head: bytes = b"",
    ) -> Response:
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        suffix = "csv" if media == _CSV else "jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{gallery.id}.{suffix}"'}

        async def blocks() -> AsyncIterator[bytes]:
            yield head
            async for rows in self._rows(gallery.id, query):
                yield written(rows)

        return StreamingResponse(blocks(), 200, headers, media_type=media)

    async def _rows(self, gallery: str, query: OnScreenQuery) -> AsyncIterator[list[Json]]:
        """The appearances that are there when this begins, person by person; without those that go meanwhile."""
        store = self._model.store
        ids = sorted(await store.appearances.ids(eq(AppearanceRecord.gallery, gallery)))
        for start in range(0, len(ids), _PAGE):
            found = await store.appearances.find(with_ids(ids[start : start + _PAGE]))
            profiles = await store.profiles.find_parts(ProfileName, with_ids({one.profile_id for one in found}))
            videos = await store.videos.find_parts(VideoMoment, with_ids({one.video_id for one in found}))
            people = {one.id: one for one in profiles if one.hidden in wanted_hidden(query.hidden)}
            films = {one.id: one for one in videos}
            yield [
                _row(one, people[one.profile_id], films.get(one.video_id))
                for one in sorted(found, key=lambda one: one.id)
                if one.profile_id in people
            ]


def _row(one: AppearanceRecord, profile: ProfileName, video: VideoMoment | None) -> Json:
    values: tuple[Any, ...] = (
        one.gallery,
        one.profile_id,
        profile.name,
        one.video_id,
        video and video.name,
        video and instant(video.recorded_at),
        one.first_seen,
        one.last_seen,
        one.seconds,
        one.faces,
        one.manual,
        one.segments,
        one.crop and f"/{one.crop.key}",
    )
    return dict(zip(COLUMNS, values, strict=True))


def _as_csv(rows: Iterable[Json]) -> bytes:
    return csv_rows(
        [*(row[name] for name in COLUMNS[:-2]), _segments(row["segments"]), row["crop"]] for row in rows
    )  # fmt: skip


def _segments(segments: Iterable[Any]) -> str:
    return " ".join(f"{one.start:.3f}-{one.end:.3f}" for one in segments)


def _as_json_lines(rows: Iterable[Json]) -> bytes:
    return b"".join(dumped(row) + b"\n" for row in rows)
