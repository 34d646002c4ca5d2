"""What a person should look at, and the answer."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from castlist.api.examples import OTHER, PROFILE
from castlist.api.resource import Distance, Id, Resource, Share
from castlist.contract.bounds import MOST_LINK_VIDEOS

MOST_SUGGESTIONS = 1_000


class Suggestion(Resource):
    """Two profiles that may be one person, for a person to decide.

    `likeness`: the share of such pairs that are one, counted among synthetic people.
    """

    id: Id
    profiles: tuple[Id, Id]
    distance: Distance
    likeness: Share


class WeakLink(Resource):
    """A profile that may be two people, and the videos of those of its appearances that fit the others least."""

    id: Id
    profile: Id
    videos: Annotated[list[Id], Field(max_length=MOST_LINK_VIDEOS)]
    distance: Distance
    likeness: Share


class Suggestions(Resource):
    """Pairs of profiles that may be one person, the nearest first; and profiles that may be two, the furthest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {
                        "id": "5f0c3f0e-0f0b-5b39-9a49-0a4b1c7f0d11",
                        "profiles": [PROFILE, OTHER],
                        "distance": 0.53,
                        "likeness": 0.72,
                    }
                ],
                "weak_links": [],
            }
        }
    )

    items: Annotated[list[Suggestion], Field(max_length=MOST_SUGGESTIONS)]
    weak_links: Annotated[list[WeakLink], Field(max_length=MOST_SUGGESTIONS)]


class Answer(BaseModel):
    """What a suggestion's two are."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"answer": "same"}})

    answer: Literal["same", "different"]
