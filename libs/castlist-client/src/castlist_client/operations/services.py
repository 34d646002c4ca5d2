"""The two services, and what all parts of the client ask of them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2

from castlist.api.change_history import Change
from castlist.api.resource import Resource
from castlist_client.operations.transport import Transport

A = TypeVar("A", bound=Resource)
POLL = 0.5
"""Seconds between two looks at what is not final yet."""
# query-api sends a comment every 15 s: a stream that was silent for three of them is dead.
STREAM_TIMEOUT = httpx2.Timeout(10, read=45)
_PAGE = 500


class Services:
    """Both services, for as long as the block is open. `patience` is how long a call is repeated, in seconds."""

    def __init__(
        self,
        ingest_url: str = "http://127.0.0.1:50001",
        query_url: str = "http://127.0.0.1:56667",
        *,
        key: str | None = None,
        patience: float = 5.0,
    ) -> None:
        self.ingest_url, self.query_url = ingest_url.rstrip("/"), query_url.rstrip("/")
        self.patience = patience
        self._calls = Transport((self.ingest_url, self.query_url), key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._calls.http.aclose()

    async def _call(self, method: str, url: str, *, patience: float | None = None, **options: Any) -> httpx2.Response:
        return await self._calls.send(method, url, patience=self.patience if patience is None else patience, **options)

    async def _correct(self, method: str, path: str, **options: Any) -> Change:
        """A correction, once it is applied: however often it is sent, it is one."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        response = await self._call(method, self.query_url + path, headers=key, **options)
        return await self._done(Change.model_validate_json(response.content))

    async def _done(self, change: Change) -> Change:
        """The change once nothing more becomes of it."""
        while not change.final:
            await asyncio.sleep(POLL)
            change = await self._get(f"/changes/{segment(change.id)}", Change)
        return change

    async def _get(self, path: str, model: type[A]) -> A:
        return model.model_validate_json((await self._call("GET", self.query_url + path)).content)

    async def _page(
        self, path: str, model: type[A], query: dict[str, str], patience: float | None = None
    ) -> tuple[list[A], str | None]:
        body = (await self._call("GET", self.query_url + path, params=query, patience=patience)).json()
        return [model.model_validate(item) for item in body["items"]], body["next_cursor"]

    async def _all(self, path: str, model: type[A], **query: str) -> AsyncIterator[A]:
        cursor: str | None = None
        while True:
            here = {"cursor": cursor} if cursor else {}
            items, cursor = await self._page(path, model, {**query, "limit": str(_PAGE), **here})
            for item in items:
                yield item
            if cursor is None:
                return


def segment(id: str) -> str:
    """An id as a part of a path."""
    return quote(id, safe="")
