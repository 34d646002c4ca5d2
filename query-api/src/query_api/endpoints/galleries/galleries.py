"""Galleries: how far they are, their settings, and what a person should look at."""

import asyncio
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from castlist.api.galleries import Gallery, GalleryPage, GallerySettingsChange
from castlist.api.galleries import GallerySettings as GallerySettingsResource
from castlist.api.suggestions import MOST_SUGGESTIONS, Suggestions
from castlist.clock import now_utc
from castlist.contract.commands import ChangeSettings, PreviewSettings
from castlist.contract.values import GallerySettings
from castlist.service.operations import operation
from castlist.service.request_parsing import NoQuery, parse_body
from castlist.store.query import Sort, ascending, descending, eq, of_kind
from castlist.store.records.galleries import GalleryRecord, SuggestionRecord
from castlist.store.records.pending import PendingCommand, PendingRecord
from castlist.tasks.galleries import SHOWN
from query_api.command_outbox import COMMANDED, CommandOutbox, command_key
from query_api.endpoints.named_resources import known_gallery
from query_api.endpoints.replies import none, one, page
from query_api.http.cursors import Order
from query_api.http.parameters import Paged, TrialQuery
from query_api.http.rendering import json_page, json_response
from query_api.read_model import ReadModel


class Galleries:
    """/galleries …"""

    def __init__(self, model: ReadModel, commands: CommandOutbox) -> None:
        self._model, self._commands = model, commands
        self._changing = asyncio.Lock()

    @operation(
        "GET",
        "/galleries",
        tag="galleries",
        summary="Galleries",
        replies=page("galleries, by their names", GalleryPage),
        query=Paged,
    )
    async def list_galleries(self, request: Request, query: Paged) -> Response:
        """List the namespaces of people there are. A gallery comes to be by being used."""
        table, order = self._model.store.galleries, Order(GalleryRecord.id)
        records, cursor = await self._model.page(table, SHOWN, order, query.limit, query.cursor)
        views = await self._model.galleries([gallery.id for gallery in records])
        return json_page(request, views, cursor)

    @operation(
        "GET",
        "/galleries/{gallery}",
        tag="galleries",
        summary="A gallery",
        replies=one("gallery", Gallery),
    )
    async def get_gallery(self, request: Request, _: NoQuery) -> Response:
        """Show how much is in a gallery, and whether anything in it is still to come."""
        gallery = await self._gallery(request)
        return json_response((await self._model.galleries([gallery.id]))[0])

    @operation(
        "GET",
        "/galleries/{gallery}/suggestions",
        tag="galleries",
        summary="Profiles that may be one person, or two",
        replies=one("gallery", Suggestions, "Its suggestions: the nearest pair, the weakest link first."),
    )
    async def gallery_suggestions(self, request: Request, _: NoQuery) -> Response:
        """List pairs of profiles that may be one person, and profiles that may be two, for a person to decide."""
        gallery = await self._gallery(request)
        pairs = await self._suggestions(gallery.id, "one", ascending(SuggestionRecord.distance))
        links = await self._suggestions(gallery.id, "two", descending(SuggestionRecord.distance))
        items = [{**_measured(one), "profiles": one.profiles} for one in pairs]
        weak_links = [{**_measured(one), "profile": one.profiles[0], "videos": one.videos} for one in links]
        return json_response({"items": items, "weak_links": weak_links})

    async def _suggestions(self, gallery: str, kind: str, order: Sort) -> list[SuggestionRecord]:
        where = eq(SuggestionRecord.gallery, gallery) & eq(SuggestionRecord.kind, kind)
        return await self._model.store.suggestions.find(where, sort=[order], limit=MOST_SUGGESTIONS)

    @operation(
        "GET",
        "/galleries/{gallery}/settings",
        tag="galleries",
        summary="A gallery's settings",
        replies=one("gallery", GallerySettingsResource, "Its settings, those that were never changed too."),
    )
    async def get_settings(self, request: Request, _: NoQuery) -> Response:
        """Show how faces are looked for and matched in a gallery."""
        return json_response(_settings(await self._gallery(request)))

    @operation(
        "PATCH",
        "/galleries/{gallery}/settings",
        tag="galleries",
        summary="Change a gallery's settings",
        replies={**COMMANDED, **none("gallery")},
        query=TrialQuery,
        body={"application/json": GallerySettingsChange},
    )
    async def change_settings(self, request: Request, query: TrialQuery) -> Response:
        """Change some settings; the next task uses them, and a new distance clusters the gallery again. With `dry_run`
        nothing changes, and the change's `detail` says what would: which profiles would be one person, which several.
        """
        change = await parse_body(GallerySettingsChange, request)
        named = {name: getattr(change, name) for name in change.model_fields_set}
        async with self._changing:  # a command holds all settings: the next one builds on it
            settings = replace(await self._latest_settings(request), **named)
            gallery = request.path_params["gallery"]
            command = (PreviewSettings if query.dry_run else ChangeSettings)(
                event_id=command_key(request),
                occurred_at=now_utc(),
                gallery=gallery,
                settings=settings.analysis,
                across_video_distance=settings.across_video_distance,
                retention=settings.retention,
            )
            await self._commands.journal(command)
        return await self._commands.answer(command.event_id, request)

    async def _latest_settings(self, request: Request) -> GallerySettings:
        """Those that hold once all accepted commands are carried out."""
        where = eq(PendingRecord.gallery, request.path_params["gallery"]) & of_kind(PendingCommand)
        arrival = [ascending(PendingRecord.created_at), ascending(PendingRecord.id)]
        waiting = await self._model.store.pending.find(where, sort=arrival)
        settings = _settings(await self._gallery(request))  # after: what was carried out meanwhile is in it
        for staged in waiting:
            if isinstance(staged, PendingCommand) and staged.name == ChangeSettings.__name__:
                settings = ChangeSettings.model_validate(staged.command).chosen
        return settings

    async def _gallery(self, request: Request) -> GalleryRecord:
        return await known_gallery(self._model.store, request.path_params["gallery"])


def _measured(one: SuggestionRecord) -> dict[str, Any]:
    return {"id": one.id, "distance": one.distance, "likeness": one.likeness}


def _settings(gallery: GalleryRecord) -> GallerySettings:
    return gallery.settings or GallerySettings()
