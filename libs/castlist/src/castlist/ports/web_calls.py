"""Calls to servers of others, whose addresses came from outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class NoAnswerError(Exception):
    """Nobody answered in time, or the name leads to an address that is not called; the text says why."""


@dataclass(frozen=True)
class Answer:
    """What came back: `retry_after` is how many seconds the server asks to be left alone."""

    status: int
    retry_after: float | None = None


class WebCalls(Protocol):
    """What we ask of servers that we do not know: nothing of what they answer is read beyond its head."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Any answer, a redirect too, which is not followed. NoAnswerError."""
        ...
