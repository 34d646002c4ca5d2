"""Operations: what a service answers to, declared once, and the OpenAPI document that follows from it.

pydantic models are the single source: the query model validates the request and describes it, the response models
describe what comes back. `/docs` is a page that needs nothing from elsewhere.
"""

import functools
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from offapi import OpenAPITemplate
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from castlist.ports.errors import Unavailable
from castlist.service.metrics import HTTP_REQUESTS, HTTP_SECONDS
from castlist.service.problems import FieldError, Problem

_REF = "#/components/schemas/{model}"
_BODY_LIMIT = 64 * 1024
Q = TypeVar("Q", bound="Query")
B = TypeVar("B", bound=BaseModel)
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


class Query(BaseModel):
    """Query parameters of an operation; those it does not name are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """An operation without query parameters."""


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


@dataclass(frozen=True)
class Answer:
    """What a status means; `model` is its JSON body, else `media` says what the body is."""

    meaning: str
    model: type[BaseModel] | None = None
    media: str | None = None


@dataclass(frozen=True)
class Operation:
    """One method on one path. `handler` gets the request and the validated query."""

    method: str
    path: str
    handler: Callable[[Request, Any], Awaitable[Response]]
    summary: str
    answers: Mapping[int, Answer]
    query: type[Query] = NoQuery
    body: Mapping[str, Any] = field(default_factory=dict)
    """media type → JSON Schema, or a model"""


def field_errors(error: ValidationError) -> list[FieldError]:
    """pydantic's findings as a problem's `errors`."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [FieldError(field=".".join(map(str, e["loc"])) or "body", message=e["msg"]) for e in found]


def parse_query(model: type[Q], request: Request) -> Q:
    """The request's query parameters; Problem 422 naming each that is unknown, repeated or out of range."""
    given = request.query_params
    repeated = [name for name in given if len(given.getlist(name)) > 1]
    if repeated:
        errors = [FieldError(field=name, message="given more than once") for name in repeated]
        raise Problem(422, "A query parameter is given more than once.", errors=errors)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise Problem(422, "The query parameters are not valid.", errors=field_errors(error)) from None


async def parse_body(model: type[B], request: Request) -> B:
    """The request's body; Problem 413 or 422, the latter naming what is unknown or not valid."""
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > _BODY_LIMIT:
            # Otherwise the rest would still be read, and thrown away.
            raise Problem(413, f"The body is larger than {_BODY_LIMIT} bytes.", headers={"Connection": "close"})
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Problem(422, "The body is not valid.", errors=field_errors(error)) from None


def routes(title: str, version: str, description: str, operations: Sequence[Operation]) -> list[BaseRoute]:
    """The operations as routes, with `/openapi.json` and `/docs`."""
    document = openapi(title, version, description, operations)
    page = OpenAPITemplate.SWAGGER.value.format(spec_url="/openapi.json", spec_path="docs")

    async def spec(_: Request) -> Response:
        return JSONResponse(document)

    async def docs(_: Request) -> Response:
        return HTMLResponse(page)

    made: list[BaseRoute] = [
        Route(o.path, _endpoint(o), methods=[o.method], name=f"{o.method} {o.path}") for o in operations
    ]
    return [*made, Route("/openapi.json", spec), Route("/docs", docs)]


def _endpoint(operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    route = f"{operation.method} {operation.path}"

    @functools.wraps(operation.handler)
    async def endpoint(request: Request) -> Response:
        began, status = time.perf_counter(), 500
        try:
            response = await operation.handler(request, parse_query(operation.query, request))
            status = response.status_code
        except Problem as problem:
            status = problem.status
            raise
        except Unavailable:
            status = 503
            raise
        finally:
            HTTP_REQUESTS.labels(route, str(status)).inc()
            HTTP_SECONDS.labels(route).observe(time.perf_counter() - began)
        return response

    return endpoint


def openapi(title: str, version: str, description: str, operations: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    models: dict[type[BaseModel], None] = {ProblemDocument: None}
    for operation in operations:
        models |= {answer.model: None for answer in operation.answers.values() if answer.model}
        models |= {body: None for body in operation.body.values() if isinstance(body, type)}
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = _PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {})},
    }


def _describe(operation: Operation) -> dict[str, Any]:
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
        "summary": operation.summary,
        "operationId": operation.handler.__name__,
        "parameters": in_path + in_query,
        "responses": {str(status): _answer(answer) for status, answer in operation.answers.items()}
        | {"default": _answer(problem("Any other problem; docs/problems.md lists them."))},
    }
    if operation.body:
        content = {media: {"schema": _schema(body)} for media, body in operation.body.items()}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _schema(body: Any) -> Any:
    return {"$ref": _REF.format(model=body.__name__)} if isinstance(body, type) else body


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.meaning}
    if answer.model is not None:
        media = "application/problem+json" if answer.model is ProblemDocument else answer.media or "application/json"
        described["content"] = {media: {"schema": _schema(answer.model)}}
    elif answer.media is not None:
        described["content"] = {answer.media: {}}
    return described


def problem(meaning: str) -> Answer:
    """An answer that is a problem document."""
    return Answer(meaning, ProblemDocument)
