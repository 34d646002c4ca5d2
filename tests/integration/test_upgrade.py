"""An installation of an earlier version: the present one takes it over and answers what that one answered."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from castlist.adapters import mongo
from castlist.clock import now_utc
from castlist.store import collections, migrations
from testkit.installation import VERSIONS, answers_in, documents_in, objects_in
from testkit.own_service import own_service
from testkit.own_storage import own_bucket
from testkit.running_stack import RunningStack

pytestmark = pytest.mark.stack


@pytest.fixture(params=VERSIONS, ids=lambda folder: folder.name)
def installation(request: pytest.FixtureRequest) -> Path:
    """The folder of one."""
    folder: Path = request.param
    return folder


@pytest.fixture
async def query(stack: RunningStack, installation: Path) -> AsyncIterator[httpx2.Client]:
    """query-api on what the installation left, prepared as `castlist.admin init` does."""
    name = f"castlist-test-upgrade-{uuid.uuid4().hex[:8]}"
    documents = mongo.connect(stack.mongo_url, name)
    async with own_bucket(stack) as objects:
        for collection, found in documents_in(installation).items():
            if found:
                await documents.database[collection].insert_many(found)
        for key, data in objects_in(installation).items():
            await objects.put(key, data, "image/jpeg" if key.startswith("crops/") else "video/mp4")
        await collections.create(documents)
        await migrations.migrate(documents, now_utc())
        environment = {"MONGO_DATABASE": name, "S3_BUCKET": objects.bucket}
        with (
            own_service("query_api", "QUERY_PORT", **environment) as service,
            httpx2.Client(base_url=service.url) as client,
        ):
            yield client
        await documents.database.client.drop_database(name)
    documents.close()


async def test_what_was_answered_is_answered(query: httpx2.Client, installation: Path) -> None:
    """Everything that was told of people, videos, tasks and galleries, down to each crop; more may be told now."""
    objects = objects_in(installation)
    crops = set()
    for path, expected in answers_in(installation).items():
        answer = query.get(path)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        assert_says_all(answer.json(), expected, path)
        crops |= set(urls_in(expected))
    assert len(crops) > 10
    for url in crops:
        assert query.get(url).content == objects[url.removeprefix("/")]


def assert_says_all(answer: Any, expected: Any, where: str) -> None:
    """Whether `answer` has every field and every value of `expected`. What depends on the moment is left out."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            if name not in ("eta_seconds", "next_cursor"):
                assert_says_all(answer[name], value, f"{where} {name}")
    elif isinstance(expected, list):
        assert len(answer) == len(expected), where
        for number, (one, other) in enumerate(zip(answer, expected, strict=True)):
            assert_says_all(one, other, f"{where} {number}")
    else:
        assert answer == expected, where


def urls_in(document: Any) -> Iterator[str]:
    """The crops that a document tells of."""
    for name, value in document.items() if isinstance(document, dict) else enumerate(document):
        if name == "url":
            yield value
        elif isinstance(value, dict | list):
            yield from urls_in(value)
