"""Objections: who is to be found and never shown."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from castlist.api.objections import ObjectingProfile, Objection, ObjectionPage
from castlist.clock import now_utc
from castlist.contract.commands import EnrolledPicture, RaiseObjection, WithdrawObjection
from castlist.contract.values import GallerySettings
from castlist.service.operations import operation
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery, drain, parse_body, parsed_form
from castlist.store.query import eq
from castlist.store.records.change_history import ObjectionRecord
from castlist.store.records.galleries import GalleryRecord
from query_api.command_outbox import COMMANDED, CommandOutbox, command_key
from query_api.endpoints.named_resources import known_gallery
from query_api.endpoints.people.one_face import AROUND_FILES, LOOKED_AT, only_face, ready
from query_api.endpoints.replies import none, page
from query_api.http.cursors import Order
from query_api.http.parameters import Paged
from query_api.http.rendering import json_page, renderer
from query_api.read_model import ReadModel

if TYPE_CHECKING:  # it is there where the extra `search` is installed
    from query_api.search.face_search import FaceSearch

_NEWEST_FIRST = Order(ObjectionRecord.at, -1)
_objection = renderer(Objection)


class _Picture(BaseModel):
    """What is said with a picture: nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _form_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
        "additionalProperties": False,
        "example": {"file": "(the bytes of face.jpg)"},
    }


class Objections:
    """/galleries/{gallery}/objections …"""

    def __init__(
        self, model: ReadModel, commands: CommandOutbox, search: "FaceSearch | None", largest_picture: int
    ) -> None:
        self._model, self._commands = model, commands
        self._search, self._largest = search, largest_picture

    @operation(
        "POST",
        "/galleries/{gallery}/objections",
        tag="galleries",
        summary="A person objects to being known",
        replies={**COMMANDED, **LOOKED_AT, **none("gallery or profile")},
        body={"application/json": ObjectingProfile, "multipart/form-data": _form_schema()},
    )
    async def raise_objection(self, request: Request, _: NoQuery) -> Response:
        """Erase a person, whom a profile or a picture shows, and leave them out of whatever comes: nothing is kept but
        one encoding, by which they are found. The change has a receipt, and cannot be taken back; the objection can be
        withdrawn."""
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        try:
            gallery = await known_gallery(self._model.store, request.path_params["gallery"])
            profile, picture = None, None
            if kind == "application/json":
                profile = await self._profile(gallery, await parse_body(ObjectingProfile, request))
            else:
                picture = await self._picture(gallery, request)
        except Problem:
            await drain(request)
            raise
        command = RaiseObjection(
            event_id=command_key(request),
            occurred_at=now_utc(),
            gallery=gallery.id,
            profile_id=profile,
            picture=picture,
        )
        return await self._commands.accept(command, request)

    @operation(
        "GET",
        "/galleries/{gallery}/objections",
        tag="galleries",
        summary="Who objects to being known",
        replies={**page("objections, the newest first", ObjectionPage), **none("gallery")},
        query=Paged,
    )
    async def list_objections(self, request: Request, query: Paged) -> Response:
        """List objections: when each was raised and by whom. Of the person nothing can be shown."""
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        where = eq(ObjectionRecord.gallery, gallery.id)
        table = self._model.store.objections
        records, cursor = await self._model.page(table, where, _NEWEST_FIRST, query.limit, query.cursor)
        return json_page(request, [_objection(one) for one in records], cursor)

    @operation(
        "DELETE",
        "/galleries/{gallery}/objections/{objection_id}",
        tag="galleries",
        summary="Withdraw an objection",
        replies={**COMMANDED, **none("objection")},
    )
    async def withdraw_objection(self, request: Request, _: NoQuery) -> Response:
        """Have a person known again, in videos that come from now on. Where they were erased they stay so."""
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        objection = await self._model.store.objections.get(request.path_params["objection_id"])
        if objection is None or objection.gallery != gallery.id:
            raise Problem(404, "There is no such objection.")
        command = WithdrawObjection(
            event_id=command_key(request), occurred_at=now_utc(), gallery=gallery.id, objection_id=objection.id
        )
        return await self._commands.accept(command, request)

    async def _profile(self, gallery: GalleryRecord, asked: ObjectingProfile) -> str:
        """The profile that the id leads to; Problem 404 where it is none of the gallery's."""
        known = await self._model.holder(asked.profile_id)
        if known is None or known.gallery != gallery.id:
            raise Problem(404, "There is no such profile in this gallery.")
        return known.id

    async def _picture(self, gallery: GalleryRecord, request: Request) -> EnrolledPicture:
        search = ready(self._search)
        async with parsed_form(_Picture, request, self._largest + AROUND_FILES) as (_, (file,)):
            settings = gallery.settings or GallerySettings()
            picture, _ = await only_face(search, file, "The picture", settings.analysis, self._largest)
            return picture
