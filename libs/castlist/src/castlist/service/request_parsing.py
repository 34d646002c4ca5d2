"""What a client says, as models: query parameters and bodies."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from castlist.api.resources import ProblemField
from castlist.service.problems import Problem, problem_fields

_BODY_LIMIT = 64 * 1024
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
        raise Problem(422, "The body is not valid.", errors=problem_fields(error)) from None
