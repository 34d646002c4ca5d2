"""Whom a face is like."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from castlist.api.profiles import Profile
from castlist.api.resource import Distance, Resource, Share
from castlist.contract.box import Box
from castlist.contract.values import Quality

MOST_MATCHES, MOST_SEARCHED = 20, 100
"""Profiles that a face is compared with in an answer, and faces of one picture."""
MOST_CROP = 2**20 + 32
"""Characters of a `data:` URL."""


class FaceMatch(Resource):
    """A profile that somebody may be. `distance`: of encodings; `likeness`: the share of such pairs that are one person
    (docs/identity.md)."""

    profile: Profile
    distance: Distance
    likeness: Share


class SearchedFace(Resource):
    """A face of a picture, its `box` in pixels of the picture as it is looked at, and the profiles nearest to it.

    `crop` is a `data:` URL of a JPEG: nothing is kept of a picture that was searched with.
    """

    box: Box
    quality: Quality
    crop: Annotated[str, StringConstraints(max_length=MOST_CROP)]
    matches: Annotated[list[FaceMatch], Field(max_length=MOST_MATCHES)]


class SearchResult(Resource):
    """The faces of a picture, the largest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "faces": [
                    {
                        "box": {"left": 210, "top": 88, "width": 96, "height": 96}, "quality": 0.93,
                        "crop": "data:image/jpeg;base64,…",
                        "matches": [
                            {
                                "profile": Profile.model_config["json_schema_extra"]["example"],  # type: ignore[index]
                                "distance": 0.31, "likeness": 0.999,
                            }
                        ],
                    }
                ]
            }
        }
    )  # fmt: skip

    faces: Annotated[list[SearchedFace], Field(max_length=MOST_SEARCHED)]


class SimilarProfiles(Resource):
    """The other profiles of a gallery that are nearest to one, the nearest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {
                        "profile": Profile.model_config["json_schema_extra"]["example"],  # type: ignore[index]
                        "distance": 0.52, "likeness": 0.51,
                    }
                ]
            }
        }
    )  # fmt: skip

    items: Annotated[list[FaceMatch], Field(max_length=MOST_MATCHES)]
