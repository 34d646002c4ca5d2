"""HTTP calls that outlast a restart of the server: repeated with growing pauses, errors told apart."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

_TRY_AGAIN = {502, 503, 504}
_LONGEST_PAUSE = 5.0


class ClientError(Exception):
    """What came in the way of a call; the text is for people."""


class Unreachable(ClientError):
    """A service was away for longer than our patience."""


class Refused(ClientError):
    """A service refused the request, and said why (RFC 9457)."""

    def __init__(self, response: httpx.Response) -> None:
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


class NotFound(Refused):
    """There is nothing under this id."""


class Calls:
    """A pool of connections. `key` is sent as a bearer token, to the servers named in `ours` alone."""

    def __init__(self, ours: Sequence[str], key: str | None) -> None:
        self._ours, self._key = {_origin(url) for url in ours}, key
        # Our own machine is never behind a proxy, whatever the environment says of the rest of the world.
        direct = {f"all://{host}": httpx.AsyncHTTPTransport() for host in ("127.0.0.1", "localhost", "[::1]")}
        self.http = httpx.AsyncClient(timeout=httpx.Timeout(30, connect=5), mounts=direct)

    def headers(self, url: str) -> dict[str, str]:
        """What a request to `url` carries."""
        return {"Authorization": f"Bearer {self._key}"} if self._key and _origin(url) in self._ours else {}

    async def send(self, method: str, url: str, *, patience: float, **options: Any) -> httpx.Response:
        """The answer, once it is a success. `patience` is how long we go on after the first failure, in seconds.

        Only for requests that may be repeated without harm.
        """
        until, pause = 0.0, 0.1
        while True:
            asked_to_wait = 0.0
            try:
                response = await self.http.request(
                    method, url, headers=self.headers(url), follow_redirects=method == "GET", **options
                )
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise Unreachable(f"{url}: {error}") from None
            except httpx.LocalProtocolError as error:
                raise ClientError(f"the file changed while it was read ({error})") from None
            except httpx.TransportError as error:
                reason = f"{_origin(url)} does not answer: {error or type(error).__name__}"
            else:
                if response.status_code not in _TRY_AGAIN:
                    return _checked(response)
                reason = f"{_origin(url)} is not ready: {Refused(response)}"
                after = response.headers.get("Retry-After", "")
                asked_to_wait = float(after) if after.isdigit() else 0.0
            now = time.monotonic()
            until = until or now + patience
            pause = max(pause, min(asked_to_wait, 10.0))
            if now + pause > until:
                raise Unreachable(reason)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, _LONGEST_PAUSE)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _checked(response: httpx.Response) -> httpx.Response:
    if response.status_code == 404:
        raise NotFound(response)
    if not response.is_success:
        raise Refused(response)
    return response
