"""Changes by hand: what became of each, and taking it back."""

from starlette.requests import Request
from starlette.responses import Response

from castlist.api.change_history import Change, ChangePage
from castlist.clock import now_utc
from castlist.contract.commands import UndoChange
from castlist.service.operations import operation
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery
from castlist.store.query import eq
from castlist.store.records.change_history import ChangeRecord
from query_api.command_outbox import COMMANDED, CommandOutbox, change_view, command_key
from query_api.endpoints.named_resources import known_gallery
from query_api.endpoints.replies import none, one, page
from query_api.http.cursors import Order
from query_api.http.parameters import Paged
from query_api.http.rendering import json_page, json_response
from query_api.read_model import ReadModel


class Changes:
    """/changes …, /commands …"""

    def __init__(self, model: ReadModel, commands: CommandOutbox) -> None:
        self._model, self._commands = model, commands

    @operation("GET", "/changes/{change_id}", tag="changes", summary="A change", replies=one("change", Change))
    async def get_change(self, request: Request, _: NoQuery) -> Response:
        """Show whether a change was carried out, what it changed, or why it failed."""
        return json_response(change_view(await self._change(request.path_params["change_id"])))

    @operation("GET", "/commands/{command_id}", tag="changes", summary="A command", replies=one("command", Change))
    async def get_command(self, request: Request, _: NoQuery) -> Response:
        """Show what became of a command by its event's id: the change of the same id."""
        return json_response(change_view(await self._change(request.path_params["command_id"], "command")))

    @operation(
        "GET",
        "/galleries/{gallery}/changes",
        tag="changes",
        summary="What was changed by hand",
        replies={**page("changes, the newest first", ChangePage), **none("gallery")},
        query=Paged,
    )
    async def gallery_changes(self, request: Request, query: Paged) -> Response:
        """List who changed what in a gallery, and when."""
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        where, order = eq(ChangeRecord.gallery, gallery.id), Order(ChangeRecord.at, -1)
        records, cursor = await self._model.page(self._model.store.changes, where, order, query.limit, query.cursor)
        return json_page(request, [change_view(record) for record in records], cursor)

    @operation(
        "POST",
        "/changes/{change_id}/undo",
        tag="changes",
        summary="Take a change back",
        replies={**COMMANDED, **none("change")},
    )
    async def undo_change(self, request: Request, _: NoQuery) -> Response:
        """Take a change back, whole or not at all. Where a later decision rests on it, the answer names that one."""
        change = await self._change(request.path_params["change_id"])
        command = UndoChange(
            event_id=command_key(request), occurred_at=now_utc(), gallery=change.gallery, change_id=change.id
        )
        return await self._commands.accept(command, request)

    async def _change(self, id: str, what: str = "change") -> ChangeRecord:
        change = await self._model.store.changes.get(id)
        if change is None:
            raise Problem(404, f"There is no such {what}.")
        return change
