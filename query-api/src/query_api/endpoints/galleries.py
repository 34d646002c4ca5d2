"""Galleries: how far they are, their settings, and what a person should look at."""

import asyncio
import uuid

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from castlist.clock import now_utc
from castlist.contract.codec import decode
from castlist.contract.commands import ChangeSettings
from castlist.contract.topics import GALLERY_COMMITS
from castlist.contract.values import MatchSettings
from castlist.ports.documents import Document
from castlist.service.operations import NoQuery, field_errors, parse_body
from castlist.service.problems import Problem
from castlist.store.collections import GALLERIES, SUGGESTIONS
from query_api.command_outbox import Commands
from query_api.http.cursors import Order
from query_api.http.parameters import Paged
from query_api.http.responses import answer
from query_api.read_model import Reading
from query_api.schemas import GallerySettings, GallerySettingsChange


class Galleries:
    """GET /galleries …"""

    def __init__(self, reading: Reading, commands: Commands) -> None:
        self._reading, self._commands = reading, commands
        self._changing = asyncio.Lock()

    async def list_galleries(self, _: Request, query: Paged) -> Response:
        """Galleries by name."""
        rows, cursor = await self._reading.page(GALLERIES, {}, Order("_id"), query.limit, query.cursor)
        return answer({"items": await self._reading.galleries([row["_id"] for row in rows]), "next_cursor": cursor})

    async def get_gallery(self, request: Request, _: NoQuery) -> Response:
        """One gallery."""
        row = await self._gallery(request)
        return answer((await self._reading.galleries([row["_id"]]))[0])

    async def gallery_suggestions(self, request: Request, _: NoQuery) -> Response:
        """Pairs of profiles that may be one person."""
        row = await self._gallery(request)
        found = await self._reading.documents.find(SUGGESTIONS, {"gallery": row["_id"]}, sort=[("distance", 1)])
        return answer({"items": [{"profiles": one["profiles"], "distance": one["distance"]} for one in found]})

    async def get_settings(self, request: Request, _: NoQuery) -> Response:
        """How faces are looked for and matched in this gallery."""
        return answer(_settings(await self._gallery(request)).model_dump())

    async def change_settings(self, request: Request, _: NoQuery) -> Response:
        """Change some settings; the next task uses them, a new distance re-clusters."""
        change = await parse_body(GallerySettingsChange, request)
        named = {name: getattr(change, name) for name in change.model_fields_set}
        async with self._changing:  # a command holds all settings: the next one builds on it
            before = await self._latest_settings(request)
            try:
                settings = GallerySettings.model_validate(before.model_dump() | named)
            except ValidationError as error:
                raise Problem(422, "The settings are not valid.", errors=field_errors(error)) from None
            gallery = request.path_params["gallery"]
            command = ChangeSettings(
                event_id=str(uuid.uuid4()),
                occurred_at=now_utc(),
                gallery=gallery,
                settings=MatchSettings.model_validate(settings.model_dump()),
                across_video_distance=settings.across_video_distance,
            )
            return await self._commands.accept(command, gallery)

    async def _latest_settings(self, request: Request) -> GallerySettings:
        """Those that hold once all accepted commands are carried out."""
        waiting = await self._reading.waiting_commands([request.path_params["gallery"]])
        settings = _settings(await self._gallery(request))  # after: what was carried out meanwhile is in it
        for entry in waiting:
            command = decode(GALLERY_COMMITS, entry["value"].encode())
            if isinstance(command, ChangeSettings):
                held = command.settings.model_dump() | {"across_video_distance": command.across_video_distance}
                settings = GallerySettings.model_validate(held)
        return settings

    async def _gallery(self, request: Request) -> Document:
        row = await self._reading.documents.get(GALLERIES, request.path_params["gallery"])
        if row is None:
            raise Problem(404, "There is no such gallery.")
        return row


def _settings(row: Document) -> GallerySettings:
    return GallerySettings.model_validate(row.get("settings") or {})
