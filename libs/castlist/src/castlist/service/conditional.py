"""Answers that a client has already (RFC 9110, 13): an `ETag` on each, and 304 for who names it."""

import hashlib
from collections.abc import Mapping

from starlette.responses import Response


def etag_of(body: bytes) -> str:
    """What stands for a body, without quotes."""
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def is_known(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the client that sent these headers has what the `etag` (with its quotes) stands for."""
    asked = headers.get("if-none-match", "").strip()
    return asked == "*" or etag in [one.strip().removeprefix("W/") for one in asked.split(",")]


def conditional(headers: Mapping[str, str], answer: Response) -> Response:
    """The answer with an ETag, that of its body where it has none; 304 in its place where the client has it."""
    etag = answer.headers.setdefault("ETag", f'"{etag_of(bytes(answer.body))}"')
    answer.headers.setdefault("Cache-Control", "private, no-cache")
    if not is_known(headers, etag):
        return answer
    kept = {name: answer.headers[name] for name in ("ETag", "Cache-Control", "Vary") if name in answer.headers}
    return Response(status_code=304, headers=kept)
