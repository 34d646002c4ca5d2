"""Problems (RFC 9457): how every service says what is wrong with a request."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from castlist.api.problems import MOST_PROBLEMS, ProblemField
from castlist.contract.values import in_short
from castlist.ports.errors import UnavailableError

log = logging.getLogger(__name__)

TITLES = {
    400: "Bad request",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    412: "Precondition failed",
    413: "Too large",
    415: "Not a video",
    416: "Range not satisfiable",
    422: "Invalid request",
    431: "Head too large",
    500: "Internal error",
    501: "Not installed",
    503: "Try again later",
}


class Problem(Exception):
    """Ends a request as `application/problem+json`."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        errors: Sequence[ProblemField] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors
        self.kind = kind or kind_of(status)
        self.headers, self.extra = dict(headers or {}), extra

    def response(self) -> Response:
        """As the client gets it. The type's fragments are explained in docs/problems.md."""
        body = {
            **document_of(self.status, self.detail, self.kind),
            **({"errors": [error.model_dump() for error in self.errors]} if self.errors else {}),
            **self.extra,
        }
        return JSONResponse(body, self.status, self.headers, media_type="application/problem+json")


def document_of(status: int, detail: str, kind: str | None = None) -> dict[str, Any]:
    """What every problem says."""
    return {
        "type": f"/docs/problems#{kind or kind_of(status)}",
        "title": TITLES.get(status, "Error") if kind is None else kind.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
    }


def kind_of(status: int) -> str:
    """The fragment of a problem's `type` where nothing more special is said."""
    return TITLES.get(status, "Error").lower().replace(" ", "-")


def problem_fields(error: ValidationError) -> list[ProblemField]:
    """pydantic's findings as a problem's `errors`: the first of them."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[:MOST_PROBLEMS]
    named = [(".".join(map(str, one["loc"])) or "body", one["msg"]) for one in found]
    return [ProblemField(field=in_short(name, 200), message=in_short(message)) for name, message in named]


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _on_unavailable(_: Request, error: Exception) -> Response:
    log.warning("request_unavailable", extra={"reason": str(error)[:300]})
    return Problem(503, f"A server is away: {error}"[:300], headers={"Retry-After": "2"}).response()


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, str(error.detail), headers=error.headers).response()


async def _on_bug(_: Request, error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    return Problem(500, "A mistake of ours; it is in the log.").response()


EXCEPTION_HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    Problem: _on_problem,
    UnavailableError: _on_unavailable,
    HTTPException: _on_http,
    Exception: _on_bug,
}
