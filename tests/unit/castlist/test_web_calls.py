"""Calls to addresses that came from outside: only the world's, as they are when the connection is made."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from castlist.adapters.web_calls import AiohttpCalls
from castlist.ports.web_calls import NoAnswerError
from castlist.service.public_addresses import is_in, is_public, networks

HERE = networks("127.0.0.1")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A server on loopback, and what it was asked."""

    url: str
    asked: list[web.Request] = field(default_factory=list)


@asynccontextmanager
async def receiver(handle: Handler) -> AsyncIterator[Receiver]:
    found = Receiver("")

    async def noted(request: web.Request) -> web.StreamResponse:
        found.asked.append(request)
        return await handle(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", noted)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


async def ok(_: web.Request) -> web.StreamResponse:
    return web.Response(text="thanks")


async def test_a_receiver_gets_what_was_sent() -> None:
    """Headers and body, and its status comes back."""

    async def handle(request: web.Request) -> web.StreamResponse:
        assert (await request.read(), request.headers["webhook-id"]) == (b"{}", "m1")
        return web.Response(status=429, headers={"Retry-After": "17"})

    async with receiver(handle) as there, AiohttpCalls(HERE) as calls:
        answer = await calls.post(f"{there.url}/hook", {"webhook-id": "m1"}, b"{}")
    assert (answer.status, answer.retry_after) == (429, 17.0)


async def test_this_machine_is_not_called_unless_that_is_allowed() -> None:
    """Nobody is even connected to."""
    async with receiver(ok) as there, AiohttpCalls() as calls:
        for scheme in ("http", "https"):
            with pytest.raises(NoAnswerError, match=r"127\.0\.0\.1"):
                await calls.post(there.url.replace("http", scheme, 1), {}, b"")
    assert there.asked == []


async def test_without_tls_only_what_is_allowed_is_called() -> None:
    """The world's addresses are not: anybody on the way could read it."""
    async with AiohttpCalls(HERE) as calls:
        with pytest.raises(NoAnswerError, match="WEBHOOK_NETWORKS"):
            await calls.post("http://1.1.1.1/", {}, b"")


class Rebinding(AbstractResolver):
    """A name server that gives another address each time."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        address = self.addresses.pop(0)
        return [ResolveResult(hostname=host, host=address, port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        return None


async def test_a_name_is_taken_for_what_it_leads_to_when_it_is_called() -> None:
    """Names that led elsewhere before, or lead elsewhere now, do not matter: what is connected to does."""

    async def once(_: web.Request) -> web.StreamResponse:
        answer = web.Response()
        answer.force_close()
        return answer

    async with receiver(once) as there, AiohttpCalls(HERE) as calls:
        port = there.url.rpartition(":")[2]
        for session in calls._sessions.values():
            connector = session.connector
            assert isinstance(connector, aiohttp.TCPConnector)
            connector._resolver = Rebinding("127.0.0.1", "127.0.0.2", "10.0.0.1", "169.254.169.254")
        url = f"http://name.example:{port}/"
        assert (await calls.post(url, {}, b"")).status == 200
        for refused in ("127.0.0.2", "10.0.0.1", "169.254.169.254"):
            with pytest.raises(NoAnswerError, match=refused):
                await calls.post(url, {}, b"")
    assert len(there.asked) == 1


async def test_redirects_are_not_followed() -> None:
    """They would lead anywhere."""

    async def handle(request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with receiver(handle) as there, AiohttpCalls(HERE) as calls:
        assert (await calls.post(f"{there.url}/hook", {}, b"")).status == 307
    assert [one.path for one in there.asked] == ["/hook"]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be connected to in the place of the receiver."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with receiver(ok) as there, AiohttpCalls(HERE) as calls:
        assert (await calls.post(there.url, {}, b"")).status == 200


async def test_a_receiver_has_so_much_time_and_no_more() -> None:
    """Also one that goes on answering for ever is done with once its status is there."""

    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b"x" * 65536)
        return answer

    async with receiver(silent) as there, AiohttpCalls(HERE, patience=0.2) as calls:
        with pytest.raises(NoAnswerError, match=r"0\.2 s"):
            await calls.post(there.url, {}, b"")
    async with receiver(endless) as there, AiohttpCalls(HERE) as calls:
        assert (await calls.post(there.url, {}, b"")).status == 200


async def test_nobody_there_is_no_answer() -> None:
    """Nor a server that speaks something else, nor a name that is none."""

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with AiohttpCalls(HERE) as calls:
        for url in ("http://127.0.0.1:1/", f"http://127.0.0.1:{port}/", f"https://127.0.0.1:{port}/",
                    "http://no-such-name.invalid/", "https://a..b/"):  # fmt: skip
            with pytest.raises(NoAnswerError):
                await calls.post(url, {}, b"")
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3",
        "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1",
        "::1", "::", "fe80::1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1",
        "2002:7f00:1::", "2002:a00:1::1",
    ],
)  # fmt: skip
def test_what_is_not_the_worlds(address: str) -> None:
    """Of this machine or network, of none, and such in the clothes of IPv6."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::1.1.1.1", "::ffff:8.8.8.8"]
)
def test_what_is_the_worlds(address: str) -> None:
    """Also by a gateway to IPv4."""
    assert is_public(ipaddress.ip_address(address))


def test_networks_are_told_by_their_addresses() -> None:
    """Also of IPv4 in IPv6; what is no network is none."""
    told = networks("10.0.0.0/8, 127.0.0.1 ,fd00::/8")
    inside = ["10.1.2.3", "127.0.0.1", "::ffff:10.1.2.3", "fd00::1"]
    assert all(is_in(ipaddress.ip_address(one), told) for one in inside)
    assert not any(is_in(ipaddress.ip_address(one), told) for one in ("127.0.0.2", "11.0.0.1", "::1"))
    assert networks("") == ()
    for wrong in ("here", "10.0.0.1/8", "10.0.0.0/33"):
        with pytest.raises(ValueError, match=wrong.split("/")[0]):
            networks(wrong)
