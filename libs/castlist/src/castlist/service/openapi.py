"""The OpenAPI document of a service, from its operations. pydantic models are the single source."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from castlist.api.problems import ProblemDocument
from castlist.service.operations import Operation, Reply, operations_of, problem
from castlist.service.problems import TITLES, kind_of

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
_PROBLEM = "application/problem+json"
_UNCHANGED = Reply("The client has it already: `If-None-Match` names its `ETag`.")


@dataclass(frozen=True)
class Api:
    """A service's HTTP interface: the classes whose methods are its operations.

    `tags` says what each group of operations is about, in the order to show them.
    """

    title: str
    about: str
    tags: Mapping[str, str]
    endpoints: Sequence[type]


def openapi(api: Api) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    operations = [operation for endpoints in api.endpoints for operation in operations_of(endpoints)]
    models: dict[type[BaseModel], None] = {ProblemDocument: None}
    for operation in operations:
        models |= {reply.model: None for reply in operation.replies.values() if reply.model}
        models |= {body: None for body in operation.body.values() if isinstance(body, type)}
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = _PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": "1", "description": api.about, "license": {"name": "MIT"}},
        "tags": [{"name": name, "description": about} for name, about in api.tags.items()],
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {})},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(operation.path)
    ]
    query = operation.query.model_json_schema(ref_template=_REF)
    in_query = [
        {
            "name": name,
            "in": "query",
            "required": name in query.get("required", ()),
            "schema": schema,
            "description": schema.get("description", ""),
        }
        for name, schema in query.get("properties", {}).items()
    ]
    described: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": inspect.cleandoc(operation.handler.__doc__ or ""),
        "operationId": operation.handler.__name__,
        "parameters": in_path + in_query,
        "responses": {str(status): _reply(status, reply) for status, reply in operation.replies.items()}
        | ({"304": _reply(None, _UNCHANGED)} if operation.is_resource else {})
        | {"default": _reply(None, problem("Any other problem; docs/problems.md lists them."))},
    }
    if operation.body:
        described["requestBody"] = {
            "required": True,
            "content": {media: _content(body) for media, body in operation.body.items()},
        }
    return described


def _content(body: Any) -> dict[str, Any]:
    if not isinstance(body, type):
        example = {"example": body["example"]} if "example" in body else {}
        return {"schema": {name: value for name, value in body.items() if name != "example"}, **example}
    return {"schema": {"$ref": _REF.format(model=body.__name__)}, **_example(body)}


def _example(model: type[BaseModel]) -> dict[str, Any]:
    """A model's own example; a page's is one of its items."""
    extra = model.model_config.get("json_schema_extra")
    if isinstance(extra, dict) and "example" in extra:
        return {"example": extra["example"]}
    if "items" in model.model_fields:
        (item,) = model.model_fields["items"].annotation.__args__  # type: ignore[union-attr]
        return {"example": {"items": [_example(item)["example"]], "next_cursor": None}}
    return {}


def _reply(status: int | None, reply: Reply) -> dict[str, Any]:
    described: dict[str, Any] = {"description": reply.meaning}
    if reply.model is ProblemDocument:
        example = {}
        if status is not None:
            title = TITLES[status]
            kind = f"/docs/problems#{kind_of(status)}"
            example = {"example": {"type": kind, "title": title, "status": status, "detail": reply.meaning}}
        described["content"] = {_PROBLEM: {"schema": {"$ref": _REF.format(model="ProblemDocument")}, **example}}
    elif reply.model is not None:
        described["content"] = {reply.media or "application/json": _content(reply.model)}
    elif reply.media is not None:
        described["content"] = {reply.media: {}}
    return described
