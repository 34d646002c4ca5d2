"""JSON as it goes out: plain dictionaries, written fast. The models in schemas.py describe it; a test compares."""

from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.responses import Response


def instant(value: datetime | None) -> str | None:
    """ISO 8601 in UTC, with Z."""
    if value is None:
        return None
    if value.utcoffset():
        value = value.astimezone(UTC)  # slow, and not needed for what MongoDB gives
    return value.replace(tzinfo=None).isoformat() + "Z"


def answer(body: Any, status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")
