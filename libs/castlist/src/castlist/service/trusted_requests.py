"""Whose requests are answered: those that name this service, and change things from no other site's page.

A page of another site can make a browser on this machine or network send what it likes. It cannot lie about where it
is from (`Origin`, `Sec-Fetch-Site`), and one that had its own name lead here is told by that name (`Host`).
"""

import functools
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from castlist.service.problems import Problem

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANY_HOST = "*"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_OURS = {"same-origin", "none"}


class TrustedRequests:
    """An ASGI application before `app`. `hosts`: the names it is reached by, in lower case, without ports. `origins`:
    other sites whose pages may ask for changes as ours do, as `https://name:port`; `*` is none of them."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str], origins: Iterable[str] = ()) -> None:
        self._app, self._hosts, self._origins = app, frozenset(hosts), frozenset(origins) - {ANY_HOST}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := self._refused(scope["method"], scope["headers"])) is not None:
            await refused.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refused(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> Problem | None:
        hosts = _all(headers, b"host")
        if len(hosts) != 1:
            return Problem(400, "The request does not say by one name whom it is for.")
        if ANY_HOST not in self._hosts and _name(hosts[0]) not in self._hosts:
            return Problem(400, "This service does not go by the name in Host; ALLOWED_HOSTS says by which it does.")
        if method in _SAFE:
            return None
        sites, origins = _all(headers, b"sec-fetch-site"), _all(headers, b"origin")
        if len(origins) == 1 and origins[0] in self._origins:
            return None
        if not set(sites) <= _OURS or any(_authority(origin) != hosts[0].lower() for origin in origins):
            return Problem(403, "A page of another site asks for a change.")
        return None


def _all(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == wanted]


@functools.lru_cache(maxsize=64)
def _name(host: str) -> str | None:
    """The name in a Host header; None where there is none in it."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def _authority(origin: str) -> str | None:
    """What the Host header says when a page of this origin speaks to its own server."""
    scheme, separator, authority = origin.lower().partition("://")
    default = {"http": ":80", "https": ":443"}.get(scheme)
    return authority.removesuffix(default) if separator and default else None
