"""Operations: what a service answers to, each declared at its handler, and served with its OpenAPI document.

class Tasks:
    @operation("GET", "/tasks/{task_id}", tag="tasks", summary="A task", replies=one("task", Task))
    async def get_task(self, request: Request, _: NoQuery) -> Response:
        \"\"\"How far the work on a video is.\"\"\"
"""

import functools
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from offapi import OpenAPITemplate
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from castlist.api.problems import ProblemDocument
from castlist.api.resource import Page
from castlist.ports.errors import UnavailableError
from castlist.service.conditional import conditional
from castlist.service.health import Check, health_routes
from castlist.service.metrics import HTTP_REQUESTS, HTTP_SECONDS
from castlist.service.problems import EXCEPTION_HANDLERS, Problem
from castlist.service.request_ids import HEADER, RequestIds
from castlist.service.request_parsing import NoQuery, Query, parse_query
from castlist.service.trusted_requests import TrustedRequests

F = TypeVar("F", bound=Callable[..., Awaitable[Response]])
Handler = Callable[..., Awaitable[Response]]
_DECLARED = "__operation__"
_LEVEL = 2
"""Of compression: a page of people has a tenth of its size then, and a twentieth at six times the cost."""
_AS_THEY_ARE = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream", "application/x-tar")
_CORS: dict[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"],
    "allow_headers": [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "If-None-Match",
        "Range",
        "X-Request-Id",
    ],
    "expose_headers": ["ETag", "Link", "Location", "Content-Range", "Retry-After", HEADER.decode()],
    "max_age": 3600,
}


@dataclass(frozen=True)
class Reply:
    """What a status means; `model` is its JSON body, else `media` says what the body is."""

    meaning: str
    model: type[BaseModel] | None = None
    media: str | None = None


Replies = Mapping[int, Reply]


def problem(meaning: str) -> Reply:
    """A reply that is a problem document."""
    return Reply(meaning, ProblemDocument)


@dataclass(frozen=True)
class Operation:
    """One method on one path. `handler` gets the request and the validated query; its docstring is for callers.

    `body`: media type → JSON Schema, or a model.
    """

    method: str
    path: str
    tag: str
    summary: str
    replies: Replies
    query: type[Query] = NoQuery
    body: Mapping[str, Any] = field(default_factory=dict)
    handler: Handler = NotImplemented

    @property
    def is_resource(self) -> bool:
        """Whether it shows one thing, as JSON: what has an `ETag`."""
        shown = self.replies.get(200)
        return (
            self.method == "GET" and shown is not None and shown.model is not None and not issubclass(shown.model, Page)
        )


def operation(
    method: str,
    path: str,
    *,
    tag: str,
    summary: str,
    replies: Replies,
    query: type[Query] = NoQuery,
    body: Mapping[str, Any] | None = None,
) -> Callable[[F], F]:
    """Declare that the decorated handler answers to `method` on `path`."""
    declared = Operation(method, path, tag, summary, replies, query, body or {})

    def declare(handler: F) -> F:
        setattr(handler, _DECLARED, declared)
        return handler

    return declare


def operations_of(endpoints: type) -> list[Operation]:
    """What the methods of a class were declared as, in the order in which they are written; handlers are unbound."""
    methods = [method for method in vars(endpoints).values() if hasattr(method, _DECLARED)]
    return [replace(getattr(method, _DECLARED), handler=method) for method in methods]


class _Application(Starlette):
    """One in which answers to mistakes of ours have an id as well, and what is logged of them."""

    def build_middleware_stack(self) -> ASGIApp:
        return RequestIds(super().build_middleware_stack())


def application(
    openapi: Mapping[str, Any],
    endpoints: Iterable[object],
    ready: Mapping[str, Check],
    hosts: Iterable[str],
    origins: Collection[str] = (),
) -> Starlette:
    """What these objects' methods were declared as, `/openapi.json`, `/docs` (which needs nothing from elsewhere),
    health and metrics. `hosts`: the names it answers to, `origins`: the other sites whose pages may ask
    (`trusted_requests`)."""
    page = OpenAPITemplate.SWAGGER.value.format(spec_url="/openapi.json", spec_path="docs")

    async def spec(_: Request) -> Response:
        return JSONResponse(openapi)

    async def docs(_: Request) -> Response:
        return HTMLResponse(page)

    of_path: dict[str, dict[str, Callable[[Request], Awaitable[Response]]]] = defaultdict(dict)
    for those in endpoints:
        for one in operations_of(type(those)):
            of_path[one.path][one.method] = _endpoint(one, getattr(those, one.handler.__name__))
    routes: list[BaseRoute] = [
        Route(path, _by_method(methods), methods=[*methods]) for path, methods in of_path.items()
    ]
    routes += [Route("/openapi.json", spec), Route("/docs", docs)]
    return _Application(
        routes=[*routes, *health_routes(ready)],
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[
            Middleware(TrustedRequests, hosts=hosts, origins=origins),
            *([Middleware(CORSMiddleware, allow_origins=[*origins], **_CORS)] if origins else []),
            Middleware(GZipMiddleware, compresslevel=_LEVEL, exclude_content_types=_AS_THEY_ARE),
        ],
    )


def _by_method(endpoints: Mapping[str, Callable[[Request], Awaitable[Response]]]) -> Callable[..., Awaitable[Response]]:
    """One route a path, so that what it says of a method that it does not have names all that it has."""

    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return endpoint


def _endpoint(operation: Operation, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    route = f"{operation.method} {operation.path}"

    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        began, status = time.perf_counter(), 500
        try:
            response = await handler(request, parse_query(operation.query, request))
            if operation.is_resource and response.status_code == 200 and not isinstance(response, StreamingResponse):
                response = conditional(request.headers, response)
            status = response.status_code
        except Problem as problem:
            status = problem.status
            raise
        except UnavailableError:
            status = 503
            raise
        finally:
            HTTP_REQUESTS.labels(route, str(status)).inc()
            HTTP_SECONDS.labels(route).observe(time.perf_counter() - began)
        return response

    return endpoint
