"""How galleries come and go."""

import hashlib
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from castlist.api import resources
from castlist.clock import now_utc
from castlist.contract.ids import derived
from castlist.contract.values import NEW_GALLERY, GallerySettings
from castlist.service.operations import Reply, operation, problem
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery, parse_body
from castlist.tasks.galleries import create_gallery
from query_api.command_outbox import command_key
from query_api.http.rendering import json_response
from query_api.read_model import ReadModel


class GalleryLifetime:
    """/galleries …"""

    def __init__(self, model: ReadModel) -> None:
        self._model = model

    @operation(
        "POST",
        "/galleries",
        tag="galleries",
        summary="Create a gallery",
        replies={
            201: Reply("The gallery that was made.", resources.Gallery),
            409: problem("There is a gallery of that name."),
            422: problem("The body, or a field of it, is not valid."),
        },
        body={"application/json": resources.NewGallery},
    )
    async def post_gallery(self, request: Request, _: NoQuery) -> Response:
        """Make a gallery with settings of its own. A gallery also comes to be by being used, with the usual ones."""
        asked = await parse_body(resources.NewGallery, request)
        named: dict[str, Any] = {}
        if asked.settings is not None:
            named = {name: getattr(asked.settings, name) for name in asked.settings.model_fields_set}
        settings = GallerySettings(**(asdict(NEW_GALLERY) | named))
        digest = hashlib.sha256(asked.model_dump_json().encode()).hexdigest()
        asked_by = derived(command_key(request), digest)
        if not await create_gallery(self._model.store, asked.id, settings, now_utc(), asked_by):
            raise Problem(409, f"There is a gallery {asked.id} already.")
        (view,) = await self._model.galleries([asked.id])
        answer = json_response(view, 201)
        answer.headers["Location"] = f"/galleries/{asked.id}"
        return answer
