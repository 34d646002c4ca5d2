"""Which addresses the client asks for pictures of faces."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from castlist_client.client import Client, ForeignAddressError, RequestRefusedError


@dataclass
class Server:
    """Answers everything with `answer`, and notes what it was asked."""

    answer: bytes
    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b" ")[1].decode())
        writer.write(self.answer)
        writer.close()


PICTURE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\njpeg"


@pytest.fixture
async def servers() -> AsyncIterator[tuple[Server, Server]]:
    """query-api, and one that is not meant."""
    ours, other = Server(PICTURE), Server(PICTURE)
    listening = []
    for server in (ours, other):
        listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        listening.append(listener)
    yield ours, other
    for listener in listening:
        listener.close()


async def test_a_crop_of_query_api_is_fetched(servers: tuple[Server, Server]) -> None:
    """Below the address at which query-api is, whatever path that has."""
    ours, _ = servers
    async with Client(query_url=f"http://127.0.0.1:{ours.port}/people/") as client:
        assert await client.crop("/crops/v.1/1/0-3.jpg") == b"jpeg"
    assert ours.asked == ["/people/crops/v.1/1/0-3.jpg"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{other}/x.jpg",
        "//127.0.0.1:{other}/x.jpg",
        "/\\127.0.0.1:{other}/x.jpg",
        "@127.0.0.1:{other}/x",
        "/crops/../profiles",
        "/crops/v/1/..",
        "/crops/v/./x.jpg",
        "/crops//x",
        "/crops/v?x",
        "/crops/%2e%2e/x",
        "/crops/v/1/0-0.jpg\r\nX: y",
        "crops/v/1/0-0.jpg",
        "/profiles",
        "",
    ],
)
async def test_no_other_address_is_asked(servers: tuple[Server, Server], url: str) -> None:
    """Not another server, nor anything else of query-api's."""
    ours, other = servers
    async with Client(query_url=f"http://127.0.0.1:{ours.port}") as client:
        with pytest.raises(ForeignAddressError):
            await client.crop(url.format(other=other.port))
    assert ours.asked == other.asked == []


async def test_a_crop_does_not_lead_elsewhere(servers: tuple[Server, Server]) -> None:
    """A redirect is not followed."""
    ours, other = servers
    ours.answer = (
        f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n".encode()
    )
    async with Client(query_url=f"http://127.0.0.1:{ours.port}") as client:
        with pytest.raises(RequestRefusedError):
            await client.crop("/crops/v/1/0-0.jpg")
    assert other.asked == []
