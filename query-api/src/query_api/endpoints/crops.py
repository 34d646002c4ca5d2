"""Crops: the pictures of faces."""

import re

from starlette.requests import Request
from starlette.responses import Response

from castlist.ports.errors import ObjectMissing
from castlist.ports.objects import Objects
from castlist.service.operations import NoQuery
from castlist.service.problems import Problem

_PATH = re.compile(r"^[A-Za-z0-9._-]{1,128}/\d+/\d+-\d+\.jpg$")


class Crops:
    """GET /crops/…"""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def get_crop(self, request: Request, _: NoQuery) -> Response:
        """One crop. Its key names the run that cut it, so it never changes."""
        path = request.path_params["path"]
        if not _PATH.match(path):
            raise Problem(404, "There is no such crop.")
        try:
            picture = await self._objects.get(f"crops/{path}")
        except ObjectMissing:
            raise Problem(404, "There is no such crop.") from None
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(picture, media_type="image/jpeg", headers=headers)
