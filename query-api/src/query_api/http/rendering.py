"""Records as clients see them: JSON of the shapes in `castlist.api.resources`, written fast (a test compares).

A resource's field is taken from the record's field of that name, unless it is given. What is plain (boxes, segments,
sizes) orjson writes as it is.
"""

import functools
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import AwareDatetime, BaseModel
from starlette.responses import Response

Json = dict[str, Any]


def instant(value: datetime | None) -> str | None:
    """ISO 8601 in UTC, with Z."""
    if value is None:
        return None
    if value.utcoffset():
        value = value.astimezone(UTC)  # slow, and not needed for what MongoDB gives
    return value.replace(tzinfo=None).isoformat() + "Z"


@functools.cache
def _fields(model: type[BaseModel]) -> tuple[tuple[str, bool], ...]:
    """Each field's name, and whether it is an instant."""
    return tuple((name, AwareDatetime in _parts(field.annotation)) for name, field in model.model_fields.items())


def _parts(annotation: Any) -> tuple[Any, ...]:
    return (annotation, *getattr(annotation, "__args__", ()))


def shown(model: type[BaseModel], record: Any, **given: Any) -> Json:
    """The JSON document of `model` for a record."""
    document: Json = {}
    for name, is_instant in _fields(model):
        value = given[name] if name in given else getattr(record, name)
        document[name] = instant(value) if is_instant else value
    return document


def json_response(body: Any, status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(dumped(body), status, media_type="application/json")


def dumped(body: Any) -> bytes:
    """`body` as JSON text."""
    return orjson.dumps(body)
