"""Records as clients see them: JSON of the shapes in `castlist.api`, written fast (a test compares).

What is plain (instants, boxes, segments, sizes) orjson writes as it is.
"""

import operator
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

Json = dict[str, Any]


def instant(value: datetime | None) -> str | None:
    """ISO 8601 in UTC, with Z."""
    if value is None:
        return None
    if value.utcoffset():
        value = value.astimezone(UTC)  # slow, and not needed for what MongoDB gives
    return value.replace(tzinfo=None).isoformat() + "Z"


def renderer(model: type[BaseModel], *given: str) -> Callable[..., Json]:
    """A function from a record to the JSON document of `model`. It takes the values of the `given` fields behind the
    record, in that order; the other fields are the record's of the same name."""
    own = tuple(name for name in model.model_fields if name not in given)
    values_of, names = operator.attrgetter(*own), own + given

    def render(record: Any, *values: Any) -> Json:
        return dict(zip(names, values_of(record) + values, strict=True))

    return render


def json_response(body: Any, status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(dumped(body), status, media_type="application/json")


def json_page(request: Request, items: Sequence[Any], cursor: str | None) -> Response:
    """A page of a list, with a `Link` to the next one where there is any."""
    answer = json_response({"items": items, "next_cursor": cursor})
    if cursor is not None:
        following = request.url.include_query_params(cursor=cursor)
        answer.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return answer


def dumped(body: Any) -> bytes:
    """`body` as JSON text; instants, which are in UTC as MongoDB gives them, with Z."""
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)
