"""Pictures of one person each: looking at them, and what may come of it."""

from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile

from castlist.contract.commands import EnrolledPicture
from castlist.contract.values import AnalysisSettings
from castlist.service.operations import problem
from castlist.service.problems import Problem

if TYPE_CHECKING:  # it is there where the extra `search` is installed
    from query_api.search.face_search import FaceSearch
    from query_api.search.protocol import SeenFace

AROUND_FILES = 64 * 1024
LOOKED_AT = {
    400: problem("The form cannot be read."),
    408: problem("The form paused for too long."),
    413: problem("A picture, or all of them, are larger than this installation takes, in bytes or in pixels."),
    415: problem("A file is no JPEG, PNG, WebP or HEIC."),
    501: problem("Looking at pictures is not installed here."),
    503: problem("Too many pictures are being looked at; try again after Retry-After."),
}


def ready(search: "FaceSearch | None") -> "FaceSearch":
    """What looks at pictures; a Problem where it is not installed, or where too many wait."""
    if search is None:
        raise Problem(501, "Looking at pictures is not installed here: query-api lacks its extra `search`.")
    search.ensure_room()
    return search


async def only_face(
    search: "FaceSearch", file: UploadFile, called: str, settings: AnalysisSettings, largest: int
) -> tuple[EnrolledPicture, "SeenFace"]:
    """The face of a picture; a Problem where there is none, or more than one: whose would it be?"""
    if (file.size or 0) > largest:
        raise Problem(413, f"{called} is larger than {largest} bytes.", kind="limits-exceeded")
    try:
        found = await search.look(file.file, settings)
    except Problem as error:
        error.detail = f"{called}: {error.detail}"
        raise
    if len(found.faces) != 1:
        count = len(found.faces) or "no"
        wide = round(settings.smallest_in(found.frame))
        what = "cut it to one face" if found.faces else f"a face has to be {wide} pixels wide"
        raise Problem(422, f"{called} shows {count} face{'s' if len(found.faces) != 1 else ''}: {what}.")
    return EnrolledPicture(face=found.faces[0].face, frame=found.frame), found.faces[0]
