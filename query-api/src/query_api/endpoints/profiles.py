"""Profiles and their appearances."""

import uuid

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from castlist.clock import now_utc
from castlist.contract.commands import RenameProfile
from castlist.ports.documents import Document
from castlist.service.operations import NoQuery, parse_body
from castlist.service.problems import Problem
from castlist.store.collections import APPEARANCES, PROFILES
from query_api.command_outbox import Commands
from query_api.http.cursors import Order
from query_api.http.parameters import Paged, ProfileQuery
from query_api.http.responses import answer
from query_api.read_model import NEWEST_FIRST, Reading
from query_api.schemas import ProfileChange


class Profiles:
    """GET /profiles …"""

    def __init__(self, reading: Reading, commands: Commands) -> None:
        self._reading, self._commands = reading, commands

    async def list_profiles(self, _: Request, query: ProfileQuery) -> Response:
        """Who is in a gallery, or in a video."""
        where: Document = query.model_dump(include={"gallery", "name"}, exclude_none=True)
        if query.video_id is not None:
            found = await self._reading.documents.find(
                APPEARANCES, {"video_id": query.video_id}, fields=("profile_id",)
            )
            where["_id"] = {"$in": sorted(one["profile_id"] for one in found)}
        order = Order(query.sort.lstrip("-"), -1 if query.sort.startswith("-") else 1)
        rows, cursor = await self._reading.page(PROFILES, where, order, query.limit, query.cursor)
        return answer({"items": await self._reading.profiles(rows), "next_cursor": cursor})

    async def get_profile(self, request: Request, _: NoQuery) -> Response:
        """One profile; 308 to the one that holds its people now, if the id was merged away."""
        found = await self._find(request)
        if isinstance(found, Response):
            return found
        if shown := await self._reading.profiles([found]):
            return answer(shown[0])
        found = await self._find(request)  # it was merged away since we looked
        return found if isinstance(found, Response) else _no_profile().response()

    async def profile_appearances(self, request: Request, query: Paged) -> Response:
        """All appearances of a profile, newest first."""
        found = await self._find(request)
        if isinstance(found, Response):
            return found
        where = {"profile_id": found["_id"]}
        rows, cursor = await self._reading.page(APPEARANCES, where, NEWEST_FIRST, query.limit, query.cursor)
        return answer({"items": await self._reading.appearances(rows), "next_cursor": cursor})

    async def rename_profile(self, request: Request, _: NoQuery) -> Response:
        """Give a profile a name, or take it away with null."""
        found = await self._find(request)
        if isinstance(found, Response):
            return found
        change = await parse_body(ProfileChange, request)
        command = RenameProfile(
            event_id=str(uuid.uuid4()),
            occurred_at=now_utc(),
            gallery=found["gallery"],
            profile_id=found["_id"],
            name=change.name,
        )
        return await self._commands.accept(command, found["gallery"])

    async def _find(self, request: Request) -> Document | Response:
        """The profile that the path names, or the way to the one that holds its people now."""
        profile_id = request.path_params["profile_id"]
        row = await self._reading.documents.get(PROFILES, profile_id)
        if row is not None:
            return row
        successor = await self._reading.successor(profile_id)
        if successor is None:
            raise _no_profile()
        below = request.url.path.removeprefix(f"/profiles/{profile_id}")
        asked = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/profiles/{successor}{below}{asked}", 308)


def _no_profile() -> Problem:
    return Problem(404, "There is no such profile.")
