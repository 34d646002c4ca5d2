"""HTTP calls that outlast a restart of the server: repeated with growing pauses, errors told apart."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

from castlist.retry import pauses

_TRY_AGAIN = {502, 503, 504}
_LONGEST_PAUSE = 5.0


class ClientError(Exception):
    """What came in the way of a call; the text is for people."""


class UnreachableError(ClientError):
    """A service was away for longer than our patience."""


class RequestRefusedError(ClientError):
    """A service refused the request, and said why (RFC 9457)."""

    def __init__(self, response: httpx2.Response) -> None:
        try:
            body = response.json()
        except ValueError:
            body = None
        problem: dict[str, Any] = body if isinstance(body, dict) else {}
        self.status = response.status_code
        self.type = str(problem.get("type") or "about:blank")
        self.title = str(problem.get("title") or response.reason_phrase or f"HTTP {self.status}")
        self.detail = str(problem.get("detail") or "")
        self.errors: list[Any] = problem.get("errors") or []
        fields = "; ".join(f"{e.get('field')}: {e.get('message')}" for e in self.errors if isinstance(e, dict))
        super().__init__(": ".join(part for part in (self.title, self.detail, fields) if part))


class NotFoundError(RequestRefusedError):
    """There is nothing under this id."""


class Transport:
    """A pool of connections. `key` is sent as a bearer token, to the servers named in `ours` alone."""

    def __init__(self, ours: Sequence[str], key: str | None) -> None:
        self._ours, self._key = {_origin(url) for url in ours}, key
        # Our own machine is never behind a proxy, whatever the environment says of the rest of the world.
        direct = {f"all://{host}": httpx2.AsyncHTTPTransport() for host in ("127.0.0.1", "localhost", "[::1]")}
        self.http = httpx2.AsyncClient(timeout=httpx2.Timeout(30, connect=5), mounts=direct)

    def headers(self, url: str) -> dict[str, str]:
        """What a request to `url` carries."""
        return {"Authorization": f"Bearer {self._key}"} if self._key and _origin(url) in self._ours else {}

    async def send(self, method: str, url: str, *, patience: float, **options: Any) -> httpx2.Response:
        """The answer, once it is a success. `patience` is how long we go on after the first failure, in seconds.

        Only for requests that may be repeated without harm.
        """
        options = {"follow_redirects": method == "GET", **options}
        more = options.pop("headers", {})
        until = 0.0
        for pause in pauses(0.1, _LONGEST_PAUSE):
            asked_to_wait = 0.0
            try:
                response = await self.http.request(method, url, headers=self.headers(url) | more, **options)
            except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
                raise UnreachableError(f"{url}: {error}") from None
            except httpx2.LocalProtocolError as error:
                raise ClientError(f"the file changed while it was read ({error})") from None
            except httpx2.TransportError as error:
                reason = f"{_origin(url)} does not answer: {error or type(error).__name__}"
            else:
                if response.status_code not in _TRY_AGAIN:
                    return checked(response)
                reason = f"{_origin(url)} is not ready: {RequestRefusedError(response)}"
                after = response.headers.get("Retry-After", "")
                asked_to_wait = float(after) if after.isdigit() else 0.0
            now = time.monotonic()
            until = until or now + patience
            wait = max(pause, min(asked_to_wait, 10.0))
            if now + wait > until:
                raise UnreachableError(reason)
            await asyncio.sleep(wait)
        raise AssertionError("pauses do not end")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def checked(response: httpx2.Response) -> httpx2.Response:
    """The answer, if it is a success; NotFoundError, RequestRefusedError."""
    if response.status_code == 404:
        raise NotFoundError(response)
    if not response.is_success:
        raise RequestRefusedError(response)
    return response
