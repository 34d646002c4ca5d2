"""What query-api says of itself: the OpenAPI document, and the page that shows it."""

import json
import re
from typing import Any, cast

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
from starlette.applications import Starlette

from castlist.service.operations import routes
from castlist.service.problems import EXCEPTION_HANDLERS
from query_api.app import operations
from query_api.endpoints.crops import Crops
from query_api.endpoints.galleries import Galleries
from query_api.endpoints.profiles import Profiles
from query_api.endpoints.tasks import Tasks
from query_api.endpoints.videos import Videos

NOTHING = cast("Any", None)  # nothing is read here
PROMISED = """
get /tasks, get /tasks/{task_id}, get /tasks/{task_id}/events, get /profiles, get /profiles/{profile_id},
patch /profiles/{profile_id}, get /profiles/{profile_id}/appearances, get /videos, get /videos/{video_id},
delete /videos/{video_id}, get /videos/{video_id}/profiles, get /videos/{video_id}/content, get /galleries,
get /galleries/{gallery}, get /galleries/{gallery}/suggestions, get /galleries/{gallery}/settings,
patch /galleries/{gallery}/settings, get /crops/{path}
"""


async def answer(path: str) -> httpx.Response:
    """The answer to a GET."""
    served = operations(
        Tasks(NOTHING),
        Profiles(NOTHING, NOTHING),
        Videos(NOTHING, NOTHING, NOTHING),
        Galleries(NOTHING, NOTHING),
        Crops(NOTHING),
    )
    served_routes = routes("Castlist", "1", "About.", served)
    app = Starlette(routes=served_routes, exception_handlers=EXCEPTION_HANDLERS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return await client.get(path)


@pytest.fixture
async def document() -> Any:
    """/openapi.json."""
    return (await answer("/openapi.json")).json()


async def test_every_promised_operation_is_described(document: Any) -> None:
    """And each under an id of its own, with what its path takes and what it answers."""
    described = {f"{method} {path}" for path, methods in document["paths"].items() for method in methods}
    assert described >= {one.strip() for one in PROMISED.strip().split(",")}
    ids = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(set(ids)) == len(ids)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            in_path = [one for one in operation["parameters"] if one["in"] == "path"]
            assert {one["name"] for one in in_path} == set(re.findall(r"{(\w+)}", path))
            assert all(one["required"] for one in in_path)
            assert operation["responses"]


async def test_schemas_and_references_hold(document: Any) -> None:
    """Every schema is one, and every reference leads to one."""
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    references = re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))
    assert references
    assert {one.removeprefix("#/components/schemas/") for one in references} <= set(schemas)


async def test_the_page_needs_nothing_from_elsewhere() -> None:
    """Whatever a browser would load for it is within it, or of this service."""
    page = await answer("/docs")
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
    loaded = re.findall(r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=["']?([^"'\s>]+)""", page.text)
    assert [one for one in loaded if re.match(r"(?:https?:)?//", one)] == []
    assert "/openapi.json" in page.text
