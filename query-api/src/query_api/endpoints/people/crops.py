"""Crops: the pictures of faces."""

import re

from starlette.requests import Request
from starlette.responses import Response

from castlist.contract.ids import ID_PATTERN
from castlist.ports.errors import ObjectMissingError
from castlist.ports.objects import Objects
from castlist.service.operations import Reply, operation
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery
from query_api.endpoints.replies import none

_PATH = re.compile(ID_PATTERN.removeprefix("^").removesuffix("$") + r"/[0-9]+/[0-9]+-([0-9a-f]+-)?[0-9]+\.jpg")


class Crops:
    """/crops/…"""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    @operation(
        "GET",
        "/crops/{path:path}",
        tag="people",
        summary="A picture of a face",
        replies={200: Reply("The picture, a JPEG.", media="image/jpeg"), **none("crop")},
    )
    async def get_crop(self, request: Request, _: NoQuery) -> Response:
        """Send one crop, by its `url`. It names the run that cut it, so it never changes and may be kept for ever."""
        path = request.path_params["path"]
        if not _PATH.fullmatch(path):
            raise Problem(404, "There is no such crop.")
        try:
            picture = await self._objects.get(f"crops/{path}")
        except ObjectMissingError:
            raise Problem(404, "There is no such crop.") from None
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(picture, media_type="image/jpeg", headers=headers)
