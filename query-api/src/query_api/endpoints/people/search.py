"""Finding people: by a picture, and by a person."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from castlist.api.search import MOST_MATCHES, SearchResult, SimilarProfiles
from castlist.contract.values import GalleryId
from castlist.service.operations import Reply, operation, problem
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery, Query, drain, parsed_form
from query_api.endpoints.named_resources import find_profile, known_gallery
from query_api.endpoints.replies import INVALID, MOVED, none, one
from query_api.http.rendering import json_response
from query_api.read_model import ReadModel

if TYPE_CHECKING:  # it is there where the extra `search` is installed
    from query_api.search.face_search import FaceSearch

_FORM_AROUND_FILE = 64 * 1024
Limit = Annotated[int, Field(ge=1, le=MOST_MATCHES, description="profiles a face")]
MaxDistance = Annotated[float, Field(gt=0, le=10, description="only profiles that are no farther")]


class SearchForm(BaseModel):
    """What is asked with a picture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gallery: Annotated[GalleryId, Field(description="whose people")] = "default"
    limit: Limit = 5
    max_distance: MaxDistance = 0.6


class SimilarQuery(Query):
    """How many profiles like one, and how near."""

    limit: Limit = 5
    max_distance: MaxDistance = 0.68


def _form_schema() -> dict[str, Any]:
    schema = SearchForm.model_json_schema()
    return {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}, **schema["properties"]},
        "additionalProperties": False,
        "example": {"file": "(the bytes of face.jpg)", "gallery": "newsroom", "limit": 5, "max_distance": 0.6},
    }


class Search:
    """/search, /profiles/{id}/similar"""

    def __init__(self, model: ReadModel, search: "FaceSearch | None", largest: int) -> None:
        self._model, self._search, self._largest = model, search, largest

    @operation(
        "POST",
        "/search",
        tag="people",
        summary="Find people by a picture",
        replies={
            200: Reply("Its faces, each with the profiles nearest to it.", SearchResult),
            400: problem("The form cannot be read."),
            408: problem("The form paused for too long."),
            413: problem("The picture is larger than this installation takes, in bytes or in pixels."),
            415: problem("The file is no JPEG, PNG, WebP or HEIC."),
            **INVALID,
            **none("gallery"),
            501: problem("Finding by a picture is not installed here."),
            503: problem("Too many pictures are being looked at; try again after Retry-After."),
        },
        body={"multipart/form-data": _form_schema()},
    )
    async def search(self, request: Request, _: NoQuery) -> Response:
        """Find who is in a picture: a JPEG, PNG, WebP or HEIC of less than 100 megapixels. Nothing of it is kept.

        Each face comes with the profiles nearest to it, and for each of them how likely the two are one person. Hidden
        profiles are left out. Of more than 100 faces the largest are looked at.
        """
        try:
            search = self._installed()
            search.ensure_room()
        except Problem:
            await drain(request)
            raise
        async with parsed_form(SearchForm, request, self._largest + _FORM_AROUND_FILE) as (asked, (picture,)):
            gallery = await known_gallery(self._model.store, asked.gallery)
            faces = await search.faces(picture.file, gallery, asked.limit, asked.max_distance)
        return json_response({"faces": faces})

    @operation(
        "GET",
        "/profiles/{profile_id}/similar",
        tag="people",
        summary="Profiles like one",
        replies={
            **one("profile", SimilarProfiles, "The nearest others of its gallery."),
            **MOVED,
            501: problem("Finding people is not installed here."),
        },
        query=SimilarQuery,
    )
    async def similar_profiles(self, request: Request, query: SimilarQuery) -> Response:
        """List the profiles of the gallery that are nearest to one, by the distance by which they are matched.

        `likeness` is the same as a suggestion's. Hidden profiles are left out.
        """
        search = self._installed()
        found = await find_profile(self._model, request)
        if isinstance(found, Response):
            return found
        return json_response({"items": await search.similar(found, query.limit, query.max_distance)})

    def _installed(self) -> "FaceSearch":
        if self._search is None:
            raise Problem(501, "Finding people is not installed here: query-api lacks its extra `search`.")
        return self._search
