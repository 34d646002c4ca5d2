"""How galleries come and go."""

import hashlib
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from castlist.api.galleries import Gallery, NewGallery
from castlist.clock import now_utc
from castlist.contract.commands import DeleteGallery
from castlist.contract.ids import derived
from castlist.contract.values import NEW_GALLERY
from castlist.service.operations import Reply, operation, problem
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery, parse_body
from castlist.tasks.galleries import GalleryGoingError, create_gallery
from query_api.command_outbox import COMMANDED, CommandOutbox, command_key
from query_api.endpoints.replies import none
from query_api.http.rendering import json_response
from query_api.read_model import ReadModel


class GalleryLifetime:
    """/galleries …"""

    def __init__(self, model: ReadModel, commands: CommandOutbox) -> None:
        self._model, self._commands = model, commands

    @operation(
        "POST",
        "/galleries",
        tag="galleries",
        summary="Create a gallery",
        replies={
            201: Reply("The gallery that was made.", Gallery),
            409: problem("There is a gallery of that name, or it is being deleted."),
            422: problem("The body, or a field of it, is not valid."),
        },
        body={"application/json": NewGallery},
    )
    async def post_gallery(self, request: Request, _: NoQuery) -> Response:
        """Make a gallery with settings of its own. A gallery also comes to be by being used, with the usual ones."""
        asked = await parse_body(NewGallery, request)
        named: dict[str, Any] = {}
        if asked.settings is not None:
            named = {name: getattr(asked.settings, name) for name in asked.settings.model_fields_set}
        settings = replace(NEW_GALLERY, **named)
        digest = hashlib.sha256(asked.model_dump_json().encode()).hexdigest()
        asked_by = derived(command_key(request), digest)
        try:
            made = await create_gallery(self._model.store, asked.id, settings, now_utc(), asked_by)
        except GalleryGoingError as going:
            raise Problem(409, f"{going}.") from None
        if not made:
            raise Problem(409, f"There is a gallery {asked.id} already.")
        (view,) = await self._model.galleries([asked.id])
        answer = json_response(view, 201)
        answer.headers["Location"] = f"/galleries/{asked.id}"
        return answer

    @operation(
        "DELETE",
        "/galleries/{gallery}",
        tag="galleries",
        summary="Delete a gallery",
        replies={**COMMANDED, **none("gallery")},
    )
    async def delete_gallery(self, request: Request, _: NoQuery) -> Response:
        """Erase a gallery with everything in it: videos, people, names, what was changed by hand. Open tasks are
        cancelled, uploads refused until all is gone; then the change has a receipt. It cannot be taken back."""
        gallery = await self._model.store.galleries.get(request.path_params["gallery"])
        if gallery is not None and gallery.deletion is not None:
            return await self._commands.answer(gallery.deletion, request)
        if gallery is None or gallery.deleted_at is not None:
            raise Problem(404, f"There is no gallery {request.path_params['gallery']}.")
        command = DeleteGallery(event_id=command_key(request), occurred_at=now_utc(), gallery=gallery.id)
        return await self._commands.accept(command, request)
