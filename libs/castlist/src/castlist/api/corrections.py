"""What is asked for to put right what the machine got wrong."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from castlist.api.examples import OTHER, VIDEO
from castlist.api.resource import Id
from castlist.contract.bounds import MOST_NAMED
from castlist.contract.box import Box
from castlist.contract.values import Seconds, TrackId


class ProfilesToMerge(BaseModel):
    """Which profiles are this person, too."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"profiles": [OTHER]}})

    profiles: Annotated[list[Id], Field(min_length=1, max_length=MOST_NAMED)]


class ProfileSplit(BaseModel):
    """Which appearances, or which tracks, are somebody else: of the profile `into`, or of a new one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"videos": [VIDEO]}})

    videos: Annotated[list[Id], Field(max_length=MOST_NAMED)] = []
    tracks: Annotated[list[TrackId], Field(max_length=MOST_NAMED)] = []
    into: Id | None = None


class Rejection(BaseModel):
    """Which appearance does not belong to a profile, and why."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"video_id": VIDEO, "reason": "not_this_person"}}
    )

    video_id: Id
    reason: Literal["not_this_person", "not_a_face"]


class ManualPresence(BaseModel):
    """Where a profile is although no face was found: in a span of the video (without one: all of it), in a box."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"video_id": VIDEO, "start": 12.0, "end": 31.5}}
    )

    video_id: Id
    start: Seconds | None = None
    end: Seconds | None = None
    box: Box | None = None
