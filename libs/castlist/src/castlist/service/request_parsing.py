"""What a client says, as models: query parameters and bodies."""

import asyncio
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from castlist.api.resources import ProblemField
from castlist.service.problems import Problem, problem_fields

BODY_BYTES, BODY_SECONDS = 64 * 1024, 10.0
"""What a body of JSON may be, and how long it may take."""
_CLOSED = {"Connection": "close"}
Q = TypeVar("Q", bound="Query")
B = TypeVar("B", bound=BaseModel)


class Query(BaseModel):
    """Query parameters of an operation; those it does not name are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """An operation without query parameters."""


def parse_query(model: type[Q], request: Request) -> Q:
    """The request's query parameters; Problem 422 naming each that is unknown, repeated or out of range."""
    given = request.query_params
    repeated = [name for name in given if len(given.getlist(name)) > 1]
    if repeated:
        errors = [ProblemField(field=name, message="given more than once") for name in repeated]
        raise Problem(422, "A query parameter is given more than once.", errors=errors)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise Problem(422, "The query parameters are not valid.", errors=problem_fields(error)) from None


async def read_body(request: Request) -> bytes:
    """The body of a request that is not an upload; Problem 408 or 413."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for block in request.stream():
                body += block
                if len(body) > BODY_BYTES:
                    # Otherwise the rest would still be read, and thrown away.
                    raise Problem(413, f"The body is larger than {BODY_BYTES} bytes.", headers=_CLOSED)
    except TimeoutError:
        raise Problem(408, f"The body did not come within {BODY_SECONDS:g} s.", headers=_CLOSED) from None
    return body


async def parse_body(model: type[B], request: Request) -> B:
    """The request's body; Problem 408, 413 or 422, the last naming what is unknown or not valid."""
    body = await read_body(request)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Problem(422, "The body is not valid.", errors=problem_fields(error)) from None
