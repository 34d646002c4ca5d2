"""Watches: who wants to hear when a person is in a video."""

import contextlib
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from castlist.api.watches import MOST_WATCHES, Watch, WatchPage
from castlist.clock import now_utc
from castlist.ports.errors import AlreadyExistsError
from castlist.service.operations import Reply, operation, problem
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery
from castlist.store.query import eq, with_id
from castlist.store.records.alerts import AlertRecord, WatchRecord
from castlist.store.store import Store
from query_api.command_outbox import command_key
from query_api.endpoints.named_resources import find_profile, known_gallery
from query_api.endpoints.replies import MOVED, none, one, page
from query_api.http.cursors import Order
from query_api.http.parameters import Paged
from query_api.http.rendering import json_page, json_response, renderer
from query_api.read_model import ReadModel

_watch = renderer(Watch)


class Watches:
    """/watches …; `wake`: to be called when there is a new one."""

    def __init__(self, model: ReadModel, wake: Callable[[], None]) -> None:
        self._model, self._wake = model, wake

    @operation(
        "POST",
        "/profiles/{profile_id}/watches",
        tag="alerts",
        summary="Watch for a person",
        replies={
            201: Reply("The watch; what follows is told.", Watch),
            200: Reply("There is a watch for this profile already: that one.", Watch),
            409: problem(f"A gallery has at most {MOST_WATCHES} watches."),
            **none("profile"),
            **MOVED,
        },
    )
    async def watch_profile(self, request: Request, _: NoQuery) -> Response:
        """Have an event `WatchedPersonAppeared` for each video in which the person is, those already processed at once.

        It is about the person: where the profile is merged into another one it goes on with that, and where that is
        taken back, with this one again. Each video is told once.
        """
        profile = await find_profile(self._model, request)
        if isinstance(profile, Response):
            return profile
        store = self._model.store
        if await store.watches.count(eq(WatchRecord.gallery, profile.gallery)) >= MOST_WATCHES:
            raise Problem(409, f"Gallery {profile.gallery} has {MOST_WATCHES} watches already.")
        watch = WatchRecord(
            id=command_key(request),
            gallery=profile.gallery,
            profile_id=profile.id,
            holder=profile.id,
            created_at=now_utc(),
        )
        with contextlib.suppress(AlreadyExistsError):
            await store.watches.insert(watch)
        found = await store.watches.find(eq(WatchRecord.profile_id, profile.id))
        if not found:
            raise Problem(422, "This Idempotency-Key was used for another request.")
        self._wake()
        answer = json_response(_watch(found[0]), 201 if found[0].id == watch.id else 200)
        answer.headers["Location"] = f"/watches/{found[0].id}"
        return answer

    @operation(
        "GET",
        "/galleries/{gallery}/watches",
        tag="alerts",
        summary="Who is watched for",
        replies={**page("watches, the oldest first", WatchPage), **none("gallery")},
        query=Paged,
    )
    async def list_watches(self, request: Request, query: Paged) -> Response:
        """List the watches on people of a gallery."""
        gallery = await known_gallery(self._model.store, request.path_params["gallery"])
        where, order = eq(WatchRecord.gallery, gallery.id), Order(WatchRecord.created_at)
        records, cursor = await self._model.page(self._model.store.watches, where, order, query.limit, query.cursor)
        return json_page(request, [_watch(record) for record in records], cursor)

    @operation("GET", "/watches/{watch_id}", tag="alerts", summary="A watch", replies=one("watch", Watch))
    async def get_watch(self, request: Request, _: NoQuery) -> Response:
        """Show whom a watch is for, and who holds that person now."""
        return json_response(_watch(await self._found(request)))

    @operation(
        "DELETE",
        "/watches/{watch_id}",
        tag="alerts",
        summary="Watch no more",
        replies={204: Reply("The watch is gone, if there was one."), **none("watch")},
    )
    async def delete_watch(self, request: Request, _: NoQuery) -> Response:
        """Take a watch away; nothing more is told by it."""
        watch = await self._found(request)

        async def body(transaction: Store) -> None:
            await transaction.watches.delete(with_id(watch.id))
            await transaction.alerts.delete(eq(AlertRecord.watch_id, watch.id))

        await self._model.store.transaction(body)
        return Response(status_code=204)

    async def _found(self, request: Request) -> WatchRecord:
        watch = await self._model.store.watches.get(request.path_params["watch_id"])
        if watch is None:
            raise Problem(404, "There is no such watch.")
        return watch
