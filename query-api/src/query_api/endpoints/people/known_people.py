"""Known people: who is to be found, by pictures of them."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from castlist.clock import now_utc
from castlist.contract.bounds import MOST_PICTURES
from castlist.contract.commands import EnrolPerson
from castlist.contract.ids import picture_key
from castlist.contract.values import NEW_GALLERY, GalleryId, GallerySettings, PersonName
from castlist.ports.objects import Objects
from castlist.service.operations import operation
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery, drain, parsed_form
from castlist.store.records.videos import UploadRecord
from query_api.command_outbox import COMMANDED, CommandOutbox, command_key
from query_api.endpoints.people.one_face import AROUND_FILES, LOOKED_AT, only_face, ready
from query_api.read_model import ReadModel

if TYPE_CHECKING:  # it is there where the extra `search` is installed
    from query_api.search.face_search import FaceSearch

_LARGEST_TOGETHER = 4
"""All pictures of a form together have at most so many times the bytes that one may have."""


class EnrolForm(BaseModel):
    """What is said with the pictures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: PersonName
    gallery: Annotated[GalleryId, Field(description="where the person is to be known; created when new")] = "default"


def _form_schema() -> dict[str, Any]:
    schema = EnrolForm.model_json_schema()
    file = {"type": "string", "format": "binary"}
    return {
        "type": "object",
        "required": ["file", "name"],
        "properties": {
            "file": {"type": "array", "items": file, "minItems": 1, "maxItems": MOST_PICTURES},
            **schema["properties"],
        },
        "additionalProperties": False,
        "example": {"file": ["(the bytes of ada.jpg)"], "name": "Ada Lovelace", "gallery": "newsroom"},
    }


class KnownPeople:
    """POST /profiles"""

    def __init__(
        self, model: ReadModel, objects: Objects, commands: CommandOutbox, search: "FaceSearch | None", largest: int
    ) -> None:
        self._store, self._objects, self._commands = model.store, objects, commands
        self._search, self._largest = search, largest

    @operation(
        "POST",
        "/profiles",
        tag="people",
        summary="Enrol a known person",
        replies={**COMMANDED, **LOOKED_AT},
        body={"multipart/form-data": _form_schema()},
    )
    async def enrol(self, request: Request, _: NoQuery) -> Response:
        """Make a person known by a name and by pictures, in each of which the person is alone: JPEG, PNG, WebP or HEIC.

        The change's `profiles` names the profile: a new one, or the nameless one of whoever is like that already. From
        then on the person is found in videos. Of each picture a crop and an encoding are kept, and nothing else.
        """
        try:
            search = ready(self._search)
        except Problem:
            await drain(request)
            raise
        most = _LARGEST_TOGETHER * self._largest + AROUND_FILES
        async with parsed_form(EnrolForm, request, most, MOST_PICTURES) as (asked, files):
            gallery = await self._store.galleries.get(asked.gallery)
            settings = NEW_GALLERY if gallery is None else gallery.settings or GallerySettings()
            seen = [
                await only_face(search, file, f"Picture {n} of {len(files)}", settings.analysis, self._largest)
                for n, file in enumerate(files, 1)
            ]
        id = command_key(request)
        command = EnrolPerson(
            event_id=id,
            occurred_at=now_utc(),
            gallery=asked.gallery,
            name=asked.name,
            pictures=tuple(picture for picture, _ in seen),
            cropped=True,
        )
        keys: list[str] = []
        if not await self._commands.knows(id):
            keys = await self._put(id, [base64.b64decode(face.jpeg) for _, face in seen])
        await self._commands.journal(command, keys)
        return await self._commands.answer(id, request)

    async def _put(self, id: str, crops: Sequence[bytes]) -> list[str]:
        """Write the crops, so that the sweep of uploads finds them should nothing come of it."""
        keys = [picture_key(id, n) for n in range(len(crops))]
        now = now_utc()
        for key, jpeg in zip(keys, crops, strict=True):
            await self._store.uploads.replace(UploadRecord(id=key, started_at=now, touched_at=now))
            await self._objects.put(key, jpeg, "image/jpeg")
        return keys
