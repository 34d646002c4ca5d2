"""Nothing in the contract is without a bound: what is larger is refused where it comes in."""

import re._parser as regular_expressions  # type: ignore[import-not-found]
from collections.abc import Iterator
from typing import Any

import pytest

from castlist.contract import asyncapi, bounds
from castlist.service.openapi import Api, openapi
from ingest import app as ingest_app
from query_api import app as query_app

KINDS = sorted(asyncapi.events().values(), key=lambda kind: kind.__name__)


def unbounded(schema: Any, where: str = "") -> Iterator[str]:
    """The places of a JSON Schema at which any length, size or number is allowed."""
    if isinstance(schema, list):
        for number, one in enumerate(schema):
            yield from unbounded(one, f"{where}[{number}]")
        return
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    fixed = "const" in schema or "enum" in schema
    if not fixed and not _is_bounded(kind, schema):
        yield f"{where}: {kind}"
    for name, one in schema.get("properties", {}).items():
        yield from unbounded(one, f"{where}.{name}")
    for name, one in schema.get("$defs", {}).items():
        yield from unbounded(one, f"{where}.{name}")
    for name in ("items", "prefixItems", "anyOf", "allOf", "oneOf", "additionalProperties"):
        yield from unbounded(schema.get(name), f"{where}.{name}")
    if "propertyNames" in schema:
        yield from unbounded({"type": "string", **schema["propertyNames"]}, f"{where}.propertyNames")


def _is_bounded(kind: Any, schema: dict[str, Any]) -> bool:
    match kind:
        case "string":
            fixed = schema.get("format") in ("date", "date-time")
            return fixed or "maxLength" in schema or _is_short(schema.get("pattern"))
        case "integer" | "number":
            low, high = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
            return bool(low & schema.keys()) and bool(high & schema.keys())
        case "array":
            return "maxItems" in schema
        case "object":
            return "properties" in schema or "maxProperties" in schema
        case None:
            return bool({"$ref", "anyOf", "allOf", "oneOf"} & schema.keys())
        case _:
            return kind in ("boolean", "null")


def _is_short(pattern: str | None) -> bool:
    if pattern is None or not (pattern.startswith("^") and pattern.endswith("$")):
        return False
    _, longest = regular_expressions.parse(pattern).getwidth()
    return bool(longest < 1_000)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_of_an_event_has_a_bound(kind: Any) -> None:
    """Each string, list, mapping, number and id of its JSON Schema says how large it may be."""
    assert list(unbounded(asyncapi.json_schema(kind))) == []


@pytest.mark.parametrize("api", [ingest_app.API, query_app.API], ids=["ingest", "query-api"])
def test_every_field_of_the_http_contract_has_a_bound(api: Api) -> None:
    """Of what is answered, of bodies, and of query parameters."""
    document = openapi(api)
    named = {"$defs": document["components"]["schemas"], "const": None}
    assert list(unbounded(named)) == []
    given = [
        parameter
        for path in document["paths"].values()
        for call in path.values()
        for parameter in call.get("parameters", ())
        if parameter["in"] == "query"
    ]
    assert given or api is ingest_app.API
    assert [where for one in given for where in unbounded(one["schema"], one["name"])] == []


def test_what_has_no_bound_is_seen() -> None:
    """The rule above sees each kind of field without one."""
    for schema in (
        {"type": "string"},
        {"type": "string", "pattern": "^[a-z]+$"},
        {"type": "string", "pattern": "[a-z]{1,3}"},
        {"type": "integer", "minimum": 0},
        {"type": "number", "maximum": 0},
        {"type": "array", "items": {"type": "boolean"}},
        {"type": "object", "additionalProperties": {"type": "boolean"}},
        {},
    ):
        assert list(unbounded({"properties": {"one": {"anyOf": [schema]}}, "type": "object"}))


def test_the_bounds_leave_room() -> None:
    """For a day of video, 200 people, 50,000 tracks, 500 people in one picture, and epochs that are moments."""
    assert bounds.LONGEST_VIDEO >= bounds.LAST_SECOND >= 24 * 3600
    assert bounds.MOST_CHUNKS * 15 >= bounds.LONGEST_VIDEO
    assert bounds.MOST_TRACKS >= 50_000
    assert bounds.MOST_PERSONS >= 200
    assert bounds.WHOLE == 2**53 - 1
