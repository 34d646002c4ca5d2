"""What a client says, as models: query parameters, bodies and forms."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request

from castlist.api.problems import MOST_PROBLEMS, ProblemField
from castlist.service.problems import Problem, problem_fields

BODY_BYTES, BODY_SECONDS = 64 * 1024, 10.0
"""What a body of JSON may be, and how long it may take."""
_CLOSED = {"Connection": "close"}
FORM_SECONDS = 30.0
"""How long a form may pause."""
_DRAINED = 64 * 1024 * 1024
_FORM_FIELDS = 100
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


async def patiently(body: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """`body`; Problem 408 where it pauses for so long. What we take to store its chunks does not count."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(body, None)
        except TimeoutError:
            raise Problem(408, f"Nothing came for {seconds:g} s.") from None
        if chunk is None:
            return
        yield chunk


async def drain(request: Request) -> None:
    """Read on for a while, so that a client that is still sending gets to see the answer."""
    with contextlib.suppress(ClientDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(5):
            left = _DRAINED
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return


@contextlib.asynccontextmanager
async def parsed_form(
    model: type[B], request: Request, most_bytes: int, most_files: int = 1
) -> AsyncIterator[tuple[B, list[UploadFile]]]:
    """The fields of a multipart form, and the files of its field `file`, one at least; they are gone on exit.

    Problem 400, 408, 413 (the form is larger than `most_bytes`), 415 (it is none) or 422.
    """
    body = _Body(request, most_bytes)
    try:
        form = body.form(max_files=most_files + 1, max_fields=_FORM_FIELDS)
        async with form as parts:
            yield _checked(model, parts, most_files)
    except Problem:
        if not body.ended:
            await drain(Request(request.scope, request.receive))
        raise


class _Body:
    """The body of a form, within its bounds; `ended` once all of it has come."""

    def __init__(self, request: Request, most_bytes: int) -> None:
        self._request, self._left, self._most = request, most_bytes, most_bytes
        self.ended = False

    def form(self, **bounds: int) -> contextlib.AbstractAsyncContextManager[FormData]:
        """What is in it."""
        kind = self._request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "multipart/form-data":
            raise Problem(415, "Send multipart/form-data with a picture as `file`.", kind="not-a-picture")
        length = self._request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._most:
            raise self._too_large()
        return Request(self._request.scope, self._receive).form(**bounds)

    async def _receive(self) -> MutableMapping[str, Any]:
        try:
            async with asyncio.timeout(FORM_SECONDS):
                message = await self._request.receive()
        except TimeoutError:
            raise Problem(408, f"Nothing came for {FORM_SECONDS:g} s.", headers=_CLOSED) from None
        self.ended = not message.get("more_body", False)
        if message["type"] == "http.disconnect":
            raise Problem(400, "The form was cut off.")
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._too_large()
        return message

    def _too_large(self) -> Problem:
        return Problem(413, f"The form is larger than {self._most} bytes.")


def _checked(model: type[B], parts: FormData, most_files: int) -> tuple[B, list[UploadFile]]:
    given, files, errors = dict[str, str](), list[UploadFile](), list[ProblemField]()
    for name, value in parts.multi_items():
        if isinstance(value, UploadFile) and name == "file":
            files.append(value)
        elif isinstance(value, UploadFile) or name == "file":
            errors.append(ProblemField(field=name[:200], message="a file is given as `file`, and nothing else"))
        elif name in given:
            errors.append(ProblemField(field=name[:200], message="given more than once"))
        else:
            given[name] = value
    if not 1 <= len(files) <= most_files:
        message = "missing" if not files else f"at most {most_files}"
        errors.append(ProblemField(field="file", message=message))
    if errors:
        raise Problem(422, "The form is not valid.", errors=errors[:MOST_PROBLEMS])
    try:
        return model.model_validate(given), files
    except ValidationError as error:
        raise Problem(422, "The form is not valid.", errors=problem_fields(error)) from None
