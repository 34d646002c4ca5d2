"""Who objects to being known."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from castlist.api.examples import COMMAND, MADE, PROFILE
from castlist.api.resource import EventId, Id, Page, Resource
from castlist.contract.values import KeyName


class ObjectingProfile(BaseModel):
    """Which profile is of somebody who objects to being known."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"profile_id": PROFILE}})

    profile_id: Id


class Objection(Resource):
    """Somebody who objects to being known in a gallery. `id` is that of the change that says so."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": COMMAND, "at": MADE, "by": None}})

    id: EventId
    at: AwareDatetime
    by: KeyName | None


class ObjectionPage(Page[Objection]):
    """Objections, the newest first."""
