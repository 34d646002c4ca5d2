"""What every service serves over HTTP alike: problems (RFC 9457), health, metrics."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from castlist.ports import Unavailable

log = logging.getLogger(__name__)
Check = Callable[[], Awaitable[None]]
# Seconds that requests get to end by themselves after a stop, and then to put away what they had begun.
_GRACE, _PUT_AWAY = 5, 2

_TITLES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    413: "Too large",
    415: "Not a video",
    416: "Range not satisfiable",
    422: "Invalid request",
    500: "Internal error",
    503: "Try again later",
}


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(Exception):
    """Ends a request as `application/problem+json`."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors
        self.kind = kind or _TITLES.get(status, "Error").lower().replace(" ", "-")
        self.headers, self.extra = dict(headers or {}), extra

    def response(self) -> Response:
        """As the client gets it. The type's fragments are explained in docs/problems.md."""
        body = {
            "type": f"/docs/problems#{self.kind}",
            "title": _TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            **({"errors": [error.model_dump() for error in self.errors]} if self.errors else {}),
            **self.extra,
        }
        return JSONResponse(body, self.status, self.headers, media_type="application/problem+json")


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _on_unavailable(_: Request, error: Exception) -> Response:
    log.warning("unavailable", extra={"reason": str(error)[:300]})
    return Problem(503, f"A server is away: {error}"[:300], headers={"Retry-After": "2"}).response()


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, str(error.detail), headers=error.headers).response()


async def _on_bug(_: Request, error: Exception) -> Response:
    log.error("bug", exc_info=error)
    return Problem(500, "A mistake of ours; it is in the log.").response()


EXCEPTION_HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    Problem: _on_problem,
    Unavailable: _on_unavailable,
    HTTPException: _on_http,
    Exception: _on_bug,
}


def health_routes(ready: Mapping[str, Check]) -> list[BaseRoute]:
    """`/health/live`, `/health/ready` (503, naming what is down) and `/metrics`."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def is_ready(_: Request) -> Response:
        async def state(check: Check) -> str:
            try:
                await asyncio.wait_for(check(), 4)
            except Exception as error:
                return f"down: {error!r}"[:300]
            return "up"

        states = dict(zip(ready, await asyncio.gather(*map(state, ready.values())), strict=True))
        up = all(value == "up" for value in states.values())
        return JSONResponse({"status": "ready" if up else "not ready", "dependencies": states}, 200 if up else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/health/live", live), Route("/health/ready", is_ready), Route("/metrics", metrics)]


class _WithoutSignals(uvicorn.Server):
    """A server beside others in one process, which has a shutdown of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to whoever has them."""
        yield


class _Server(uvicorn.Server):
    """Returns when told to stop; uvicorn's own raises the signal once more, which would end the process right there."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets)
        # The requests that it cancelled put away what they had begun.
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_PUT_AWAY)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def server(app: Starlette, host: str, port: int, *, install_signals: bool = True) -> uvicorn.Server:
    """A server for `app`; `await server.serve()` runs it until it is told to stop."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=30,
        server_header=False,
    )
    return _Server(config) if install_signals else _WithoutSignals(config)
