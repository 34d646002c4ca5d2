"""What resources have in common: pages, and the fields that several have."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from castlist.contract.bounds import WHOLE
from castlist.contract.ids import ID_PATTERN

R = TypeVar("R", bound="Resource")
MOST_CHANGED = 100_000
"""Profiles that one change is about."""
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
EventId = Annotated[str, StringConstraints(max_length=128)]
Hash = Annotated[str, StringConstraints(max_length=64)]
Word = Annotated[str, StringConstraints(max_length=64)]
Text = Annotated[str, StringConstraints(max_length=4_096)]
Distance = Annotated[float, Field(ge=0, le=1_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Wait = Annotated[float, Field(ge=0, le=WHOLE)]
TotalSeconds = Annotated[float, Field(ge=0, le=WHOLE)]
HttpStatus = Annotated[int, Field(ge=100, le=599)]


class Resource(BaseModel):
    """A JSON document of one of the services."""

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_serialization_defaults_required=True)


class Page(Resource, Generic[R]):
    """A part of a list. `next_cursor` asks for the part behind it; null at the end."""

    items: Annotated[list[R], Field(max_length=500)]
    next_cursor: Text | None
