"""Profiles: the people of a gallery, and what is written on their cards."""

from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from castlist.api.appearances import Appearance, CropPicture
from castlist.api.examples import ENDED, MADE, PROFILE, VIDEO
from castlist.api.resource import MOST_CHANGED, Id, Page, Resource, TotalSeconds
from castlist.contract.bounds import MOST_TAGS
from castlist.contract.values import BirthDate, ExternalId, GalleryId, Notes, PersonName, Tag, Tally


class Cover(BaseModel):
    """Which crop stands for a person: that of this video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    video_id: Id


class Profile(Resource):
    """One person in one gallery. `appearances` are the newest 100, or the one in the video that was asked for.

    `first_seen` and `last_seen` are the earliest and the latest of its videos, by when these were recorded, or else
    came to us; `seconds` is for how long it is seen in all of them.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": PROFILE, "gallery": "newsroom", "name": "Ada Lovelace", "external_id": "staff-17",
                "birth_date": "1815-12-10", "notes": "Speaks at the opening.", "tags": ["guest"], "favourite": True,
                "hidden": False, "cover": {"video_id": VIDEO}, "created_at": MADE, "updated_at": ENDED,
                "first_seen": MADE, "last_seen": MADE, "seconds": 11.9, "video_count": 1, "pictures": [],
                "appearances": [],
            }
        }
    )  # fmt: skip

    id: Id
    gallery: GalleryId
    name: PersonName | None
    external_id: ExternalId | None = None
    birth_date: BirthDate | None = None
    notes: Notes | None = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] = Field(default=[])
    favourite: bool = False
    hidden: bool = False
    cover: Cover | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    first_seen: AwareDatetime | None = None
    last_seen: AwareDatetime | None = None
    seconds: TotalSeconds = 0
    video_count: Tally
    pictures: Annotated[
        list[CropPicture], Field(max_length=MOST_CHANGED, description="by which the person was enrolled")
    ] = Field(default=[])
    appearances: Annotated[list[Appearance], Field(max_length=100)]


class ProfilePage(Page[Profile]):
    """People."""


class ProfileChange(BaseModel):
    """What to write on a profile's card; null clears a field, those not named stay."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Ada Lovelace", "tags": ["guest"], "favourite": True}}
    )

    name: PersonName | None = None
    external_id: ExternalId | None = None
    birth_date: date | None = None
    notes: Notes | None = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] | None = None
    favourite: bool | None = None
    hidden: bool | None = None
    cover: Cover | None = None
