"""Why a request was not answered."""

from typing import Annotated

from pydantic import BaseModel, Field

from castlist.api.resource import HttpStatus, Text

MOST_PROBLEMS = 100
"""Fields of a request that an answer names."""


class ProblemField(BaseModel):
    """What is wrong with one field of a request."""

    field: Text
    message: Text


class ProblemDocument(BaseModel):
    """Why a request was not answered (RFC 9457). `type` is explained in docs/problems.md."""

    type: Text
    title: Text
    status: HttpStatus
    detail: Text
    errors: Annotated[list[ProblemField], Field(max_length=MOST_PROBLEMS)] | None = None
