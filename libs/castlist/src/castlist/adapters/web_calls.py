"""`WebCalls` by aiohttp. What is checked is the address that a connection is made to, not what a name led to before."""

import errno
import ipaddress
import socket
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from castlist.ports.web_calls import Answer, NoAnswerError, WebCalls
from castlist.service.public_addresses import Address, Network, is_in, is_public

PATIENCE = 15.0
"""Seconds that a whole call may take."""
_TO_CONNECT = 5.0


class AiohttpCalls(WebCalls):
    """Calls while inside. `allowed`: networks that are called although they are not the world's, and the only ones that
    are called without TLS."""

    def __init__(self, allowed: Sequence[Network] = (), patience: float = PATIENCE) -> None:
        self._allowed = tuple(allowed)
        self._patience = aiohttp.ClientTimeout(total=patience, sock_connect=_TO_CONNECT)
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        self._sessions = {"https": self._session(self._is_reachable), "http": self._session(self._is_allowed)}
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for session in self._sessions.values():
            await session.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        session = self._sessions[urlsplit(url).scheme]
        try:
            async with session.post(url, headers=headers, data=body, allow_redirects=False) as response:
                return Answer(response.status, _seconds(response.headers.get("Retry-After", "")))
        except TimeoutError:
            raise NoAnswerError(f"no answer within {self._patience.total:g} s") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise NoAnswerError(str(error) or type(error).__name__) from None

    def _session(self, reachable: Callable[[Address], bool]) -> aiohttp.ClientSession:
        def guarded(found: Any) -> socket.socket:
            """The socket for a connection to exactly this address, which no further look-up can change."""
            family, kind, protocol, _, place = found
            if not reachable(ipaddress.ip_address(place[0].partition("%")[0])):
                raise OSError(errno.EACCES, f"webhooks may not go to {place[0]}: WEBHOOK_NETWORKS does not name it")
            return socket.socket(family, kind, protocol)

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(use_dns_cache=False, socket_factory=guarded),
            timeout=self._patience,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    def _is_reachable(self, address: Address) -> bool:
        return is_public(address) or self._is_allowed(address)

    def _is_allowed(self, address: Address) -> bool:
        return is_in(address, self._allowed)


def _seconds(told: str) -> float | None:
    return float(told) if told.isdecimal() and len(told) < 9 else None
