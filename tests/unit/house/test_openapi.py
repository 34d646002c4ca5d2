"""What ingest and query-api say of themselves: their OpenAPI documents, and the page that shows them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema  # type: ignore[import-untyped]
import pytest

import ingest.app
import query_api.app
from castlist.service.openapi import openapi
from castlist.service.operations import application

DOCUMENTS = {"ingest": openapi(ingest.app.API), "query-api": openapi(query_api.app.API)}
PROMISED = {
    "ingest": "post /videos, post /tasks/{task_id}/cancel, post /tasks/{task_id}/retry, get /tasks/{task_id}",
    "query-api": """
        get /tasks, get /tasks/{task_id}, get /tasks/{task_id}/events, get /profiles, get /profiles/{profile_id},
        patch /profiles/{profile_id}, get /profiles/{profile_id}/appearances, get /videos, get /videos/{video_id},
        delete /videos/{video_id}, get /videos/{video_id}/profiles, get /videos/{video_id}/content, get /galleries,
        get /galleries/{gallery}, get /galleries/{gallery}/suggestions, get /galleries/{gallery}/settings,
        patch /galleries/{gallery}/settings, get /commands/{command_id}, get /crops/{path},
        get /videos/{video_id}/timeline, get /videos/{video_id}/timeline.vtt, get /profiles/{profile_id}/timeline,
        get /galleries/{gallery}/stats, get /videos/{video_id}/tracks, get /galleries/{gallery}/events,
        post /profiles/{profile_id}/watches, get /galleries/{gallery}/watches, get /watches/{watch_id},
        delete /watches/{watch_id}, post /galleries/{gallery}/webhooks, get /galleries/{gallery}/webhooks,
        get /webhooks/{webhook_id}, delete /webhooks/{webhook_id}, get /webhooks/{webhook_id}/deliveries,
        post /webhooks/{webhook_id}/replay
    """,
}
of_each_service = pytest.mark.parametrize("service", DOCUMENTS)


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    """`method path` of each operation, and its description."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


@of_each_service
def test_every_promised_operation_is_described(service: str) -> None:
    """Each with an id of its own, under a tag that is explained, in sentences, with what it takes and answers."""
    document = DOCUMENTS[service]
    found = dict(operations(document))
    assert found.keys() >= {one.strip() for one in PROMISED[service].strip().split(",")}
    assert len({one["operationId"] for one in found.values()}) == len(found)
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    for name, operation in found.items():
        in_path = [one for one in operation["parameters"] if one["in"] == "path"]
        assert {one["name"] for one in in_path} == set(re.findall(r"{(\w+)}", name))
        assert all(one["required"] for one in in_path)
        (tag,) = operation["tags"]
        assert tags[tag].endswith(".")
        assert operation["summary"]
        assert operation["description"].endswith(".")
        assert len(operation["description"].split()) > 4, name
        assert any(status < "400" for status in operation["responses"])
        assert all(reply["description"].endswith(".") for reply in operation["responses"].values())
        assert all(len(reply["description"].split()) > 2 for reply in operation["responses"].values()), name
        assert all(one["description"] for one in operation["parameters"] if one["in"] == "query"), name


@of_each_service
def test_schemas_hold_and_references_lead_somewhere(service: str) -> None:
    """Every schema is one, and every reference leads to one."""
    document = DOCUMENTS[service]
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    references = re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))
    assert references
    assert {one.removeprefix("#/components/schemas/") for one in references} <= set(schemas)


@of_each_service
def test_every_json_body_has_an_example_that_is_valid(service: str) -> None:
    """A caller can copy it; a new required field without a place in the example fails here."""
    document = DOCUMENTS[service]
    count = 0
    for name, operation in operations(document):
        bodies = [
            operation.get("requestBody", {}),
            *(operation["responses"][status] for status in operation["responses"] if status != "default"),
        ]
        for body in bodies:
            for media, content in body.get("content", {}).items():
                if not media.endswith("json"):
                    continue
                assert "example" in content, f"{name}: {media}"
                schema = {**content["schema"], "components": document["components"]}
                jsonschema.Draft202012Validator(schema).validate(content["example"])
                count += 1
    assert count > 5


def test_parameters_say_their_bounds() -> None:
    """As the models have them."""
    (limit,) = [
        one["schema"]
        for one in DOCUMENTS["query-api"]["paths"]["/profiles"]["get"]["parameters"]
        if one["name"] == "limit"
    ]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 500, 50)


@of_each_service
async def test_the_page_needs_nothing_from_elsewhere(service: str) -> None:
    """Whatever a browser would load for it is within it, or of this service."""
    app = application(DOCUMENTS[service], [], {}, ["here"])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://here") as client:
        page, document = await client.get("/docs"), await client.get("/openapi.json")
    assert document.json() == json.loads(json.dumps(DOCUMENTS[service]))
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
    loaded = re.findall(r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=["']?([^"'\s>]+)""", page.text)
    assert [one for one in loaded if re.match(r"(?:https?:)?//", one)] == []
    assert "/openapi.json" in page.text
