"""Whose requests are answered: a page of another site can make a browser ask, and cannot hide where it is from."""

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from castlist.service.settings import Settings
from castlist.service.trusted_requests import TrustedRequests


async def done(_: Request) -> Response:
    return PlainTextResponse("done")


async def ask(method: str, headers: dict[str, str], **settings: str) -> httpx2.Response:
    """The answer of a service that was told so much."""
    hosts = Settings(**settings).hosts  # type: ignore[arg-type]
    route = Route("/", done, methods=["GET", "POST", "PATCH", "DELETE"])
    app = Starlette(routes=[route], middleware=[Middleware(TrustedRequests, hosts=hosts)])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:50001") as client:
        return await client.request(method, "/", headers=headers)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:50001", "localhost:56667", "LOCALHOST", "[::1]:50001", "127.0.0.1", "localhost."[:-1]]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_this_machine_is_answered_on_whatever_port(host: str, method: str) -> None:
    """A port may be mapped; a client that is no browser says nothing of its origin."""
    assert (await ask(method, {"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:50001", "127.0.0.1.evil.example", "localhost@evil.example", "evil.example@localhost",
     "localhost/evil", "localhost:evil", "", "*", "0.0.0.0:50001", "10.0.0.1", "[::1", "xn--lcalhost-4cd"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_name_that_is_not_ours_is_refused(host: str, method: str) -> None:
    """A site that has its own name lead here reads and changes nothing."""
    answer = await ask(method, {"Host": host})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({"bind_host": "cast.example"}, "cast.example:50001"),
        ({"bind_host": "0.0.0.0", "allowed_hosts": "ingest, Cast.Example"}, "cast.example"),
        ({"allowed_hosts": "ingest,10.0.0.1"}, "ingest:50001"),
        ({"allowed_hosts": "[fd00::1]"}, "[fd00::1]:50001"),
        ({"query_url": "https://people.example/"}, "people.example"),
        ({"allowed_hosts": "*"}, "whatever.example"),
    ],
)
async def test_it_answers_to_what_it_was_told(settings: dict[str, str], host: str) -> None:
    """Where it listens, where clients find query-api, and what ALLOWED_HOSTS says; `*` is any."""
    assert (await ask("POST", {"Host": host}, **settings)).status_code == 200
    assert (await ask("POST", {"Host": "evil.example"}, **settings)).status_code == (200 if host[0] == "w" else 400)


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8080"},
    {"Origin": "http://localhost:50001"},
    {"Origin": "127.0.0.1:50001"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:50001"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_a_page_of_another_site_changes_nothing(headers: dict[str, str], method: str) -> None:
    """Another port of this machine is another site's, too."""
    answer = await ask(method, {"Host": "127.0.0.1:50001", **headers})
    assert (answer.status_code, answer.json()["type"]) == (403, "/docs/problems#not-allowed")
    assert (await ask("GET", {"Host": "127.0.0.1:50001", **headers})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:50001", "Origin": "http://127.0.0.1:50001", "Sec-Fetch-Site": "same-origin"},
        {"Host": "127.0.0.1:50001", "Sec-Fetch-Site": "none"},
        {"Host": "[::1]:50001", "Origin": "http://[::1]:50001"},
        {"Host": "localhost", "Origin": "https://localhost:443"},
        {"Host": "LocalHost:50001", "Origin": "http://localhost:50001"},
    ],
)
async def test_a_page_of_our_own_changes_what_it_likes(headers: dict[str, str]) -> None:
    """As /docs does, also behind what speaks TLS for us."""
    assert (await ask("POST", headers)).status_code == 200
