"""What a server takes from a client that sends too much, or too little, or nothing at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from castlist.service import bounded_http, request_parsing
from castlist.service.http_server import make_server
from castlist.service.problems import EXCEPTION_HANDLERS
from castlist.service.request_parsing import parse_body
from testkit.eventually import eventually_async

SOON = 0.3
GET = b"GET / HTTP/1.1\r\nHost: here\r\n"
POST = b"POST / HTTP/1.1\r\nHost: here\r\n"


class Body(BaseModel):
    text: str = ""


async def answer(request: Request) -> Response:
    """The length of the body, which is read as JSON where it says that it is."""
    if request.headers.get("content-type") == "application/json":
        return JSONResponse(len((await parse_body(Body, request)).text))
    if request.headers.get("x-unread"):
        return JSONResponse("unread")
    return JSONResponse(sum([len(block) async for block in request.stream()]))


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """The port of a server as the services run it."""
    route = Route("/", answer, methods=["GET", "POST"])
    app = Starlette(routes=[route], exception_handlers=EXCEPTION_HANDLERS)
    server = make_server(app, "127.0.0.1", 0, install_signals=False)
    running = asyncio.create_task(server.serve())
    await eventually_async(lambda: server.started, pause=0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await running


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server whose patience ends soon."""
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS", SOON)
    monkeypatch.setattr(request_parsing, "BODY_SECONDS", SOON)
    async with serving() as port:
        yield port


async def sent(port: int, begin: bytes, more: bytes = b"", most: int = 0, pause: float = 0.0) -> tuple[int | None, int]:
    """The status that a connection is closed with (None: without one), and how many bytes of `more` were taken.

    `most` bytes of it are sent at most, and then nothing more.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = 0
    try:
        writer.write(begin)
        while taken < most and not reader.at_eof() and not reader._buffer:  # type: ignore[attr-defined]
            writer.write(more)
            await writer.drain()
            taken += len(more)
            await asyncio.sleep(pause)
        async with asyncio.timeout(20):
            said = await reader.read()
    except ConnectionError:
        said = b""
    finally:
        writer.close()
    status = said.split(b" ", 2)[1] if said else None
    return (int(status) if status else None), taken


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (GET + b"X: ", b"x" * 65_536),
        (GET, b"X-Many: y\r\n" * 5_000),
        (b"GET /?", b"x" * 65_536),
        (GET + b"X" * 50_000 + b": 1\r\n\r\n", b""),
        (GET + b"X: 1\r\n" * 150 + b"\r\n", b""),
        (b"GET /?" + b"x" * 50_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n", b""),
    ],
)
async def test_a_head_is_bounded_in_size_and_count(port: int, begin: bytes, more: bytes) -> None:
    """431 long before a hundred megabytes; whether it comes at once or goes on for ever."""
    status, taken = await sent(port, begin, more, most=100_000_000)
    assert status in (431, None)  # a client that is still sending may miss it
    assert status == 431 or more
    assert taken < 8_000_000


@pytest.mark.parametrize("begin", [b"", b"G", GET, GET + b"X: y", b"\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(port: int, begin: bytes) -> None:
    """Nothing at all, a part of it, or a byte now and then."""
    assert (await sent(port, begin))[0] == 408
    status, taken = await sent(port, begin, b"\r\n" if begin == b"\r\n" else b"x", most=10_000, pause=0.02)
    assert status in (408, 400, None)  # a client that is still sending may miss it
    assert taken < 10_000


async def test_a_second_head_that_does_not_come_is_not_waited_for(port: int) -> None:
    """The answer to the first one is given."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET + b"\r\n")
    assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
    writer.write(GET)
    async with asyncio.timeout(20):
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
    writer.close()


async def test_half_open_connections_do_not_keep_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has waited longest makes room; who sends a whole request is answered."""
    monkeypatch.setattr(bounded_http, "MOST_HALF_OPEN", 5)
    async with serving() as port:
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
        for _, writer in waiting:
            writer.write(GET)
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 200
        await eventually_async(lambda: sum(not reader.at_eof() for reader, _ in waiting) <= 5)
        assert not waiting[-1][0].at_eof()
        for _, writer in waiting:
            writer.close()


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X-Trailer: y\r\n" * 5_000),
        (b"Transfer-Encoding: chunked\r\n\r\n1;x=", b"x" * 65_536),
    ],
)
async def test_what_stands_between_the_pieces_of_a_body_is_bounded(port: int, begin: bytes, more: bytes) -> None:
    """Trailers and extensions of chunks, which nobody reads."""
    _, taken = await sent(port, POST + begin, more, most=100_000_000)
    assert taken < 8_000_000


async def test_a_body_goes_on_behind_its_answer_for_a_while_only(port: int) -> None:
    """A client that has its answer and sends on is cut off."""
    begin = POST + b"X-Unread: 1\r\nContent-Length: 100000000000\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")

    async def send_on() -> None:
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_on(), 20)


@pytest.mark.parametrize("length", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
async def test_a_body_of_json_is_not_waited_for(port: int, length: bytes) -> None:
    """However few bytes come now and then."""
    begin = POST + b"Content-Type: application/json\r\n" + length + b"\r\n\r\n"
    piece = b"1\r\n \r\n" if b"chunked" in length else b" "
    status, taken = await sent(port, begin, piece, most=100_000, pause=0.02)
    assert status in (408, None)  # a client that is still sending may miss it
    assert taken < 10_000


async def test_a_body_of_json_is_bounded(port: int) -> None:
    """413, and the rest is not read."""
    begin = POST + b"Content-Type: application/json\r\nContent-Length: 100000000\r\n\r\n"
    status, taken = await sent(port, begin, b" " * 65_536, most=100_000_000)
    assert status in (413, None)
    assert taken < 8_000_000


async def test_what_is_not_http_is_said_to_be_no_request(port: int) -> None:
    """As every other error, in a problem document."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    said = await reader.read()
    assert said.startswith(b"HTTP/1.1 400")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["type"] == "/docs/problems#bad-request"
    writer.close()


async def test_ordinary_requests_are_answered(port: int) -> None:
    """One behind the other on one connection, several sent at once, and bodies of any size and slowness."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write((GET + b"\r\n") * 50)
    for _ in range(50):
        assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
    writer.close()

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(10):
            await asyncio.sleep(SOON / 5)
            yield b"x"
        for _ in range(100):
            yield bytes(100_000)

    ask: list[Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]] = [
        lambda client: client.post(url, content=slowly()),
        lambda client: client.get(url, headers={"X-Long": "x" * 20_000}),
        lambda client: client.post(url, json={"text": "x" * 60_000}),
    ]
    url = f"http://127.0.0.1:{port}/"
    async with httpx2.AsyncClient() as client:
        assert [(await one(client)).json() for one in ask] == [10_000_010, 0, 60_000]
