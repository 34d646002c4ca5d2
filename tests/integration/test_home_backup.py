"""Back up and restore as docs/operating.md says: a stack whose home was lost answers again what it answered."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from castlist.adapters import mongo, s3
from castlist.service.settings import Settings
from deploy.config import PORTS, read_dotenv
from deploy.supervision.ports import free_port
from testkit.api import Api
from testkit.eventually import eventually
from testkit.installation import ANSWERED, VERSIONS, WAITING, documents_in, objects_in
from testkit.running_stack import RunningStack, connected
from testkit.source import ROOT
from testkit.synthetic import SyntheticVideo, submit

pytestmark = [pytest.mark.stack, pytest.mark.slow]
SERVERS = ("KAFKA_BOOTSTRAP", "MONGO_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "QUERY_URL")
LATER = SyntheticVideo("later", "newsroom", [[1], [8]])


class Home:
    """A stack's home, and `python3 deploy` for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports: dict[str, int] = {}
        for name in PORTS:
            ports[name] = free_port(set(ports.values()))
        self._env = {name: value for name, value in os.environ.items() if name not in SERVERS}
        self._env |= {"CASTLIST_HOME": str(folder), "WORKERS": "1", **{name: str(port) for name, port in ports.items()}}

    @contextmanager
    def up(self, *words: str) -> Iterator[RunningStack]:
        """It runs while inside."""
        self._deploy("up", "--detach", *words)
        try:
            yield RunningStack.of(self.folder, read_dotenv(self.folder / "env"))
        finally:
            self._deploy("down")

    def _deploy(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, str(ROOT / "deploy"), *words], capture_output=True, text=True, env=self._env
        )
        assert done.returncode == 0, done.stdout + done.stderr


def commands_of(heading: str) -> list[str]:
    """The lines of the first block of shell under a heading of docs/operating.md."""
    section = (ROOT / "docs" / "operating.md").read_text().split(f"## {heading}\n")[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [line.partition(" #")[0].strip() for line in block[1].splitlines()]


async def fill(stack: RunningStack, home: Path) -> None:
    """What an installation left that has no work in hand."""
    told = read_dotenv(home / "env")
    settings = Settings(
        s3_endpoint=stack.s3_endpoint, s3_access_key=told["S3_ACCESS_KEY"], s3_secret_key=told["S3_SECRET_KEY"]
    )
    documents = mongo.connect(stack.mongo_url, settings.database)
    for name, found in documents_in(VERSIONS[0]).items():
        kept = [one for one in found if not (name == "tasks" and one["video_id"] == WAITING.video_id)]
        await documents.database[name].delete_many({})
        if kept:
            await documents.database[name].insert_many(kept)
    documents.close()
    async with s3.connect(*settings.s3) as objects:
        for key, data in objects_in(VERSIONS[0]).items():
            await objects.put(key, data, "image/jpeg" if key.startswith("crops/") else "video/mp4")


def answers(stack: RunningStack) -> dict[str, Any]:
    """What it says of everything, down to each crop."""
    with httpx2.Client(base_url=stack.query_url) as client:
        found: dict[str, Any] = {path: client.get(path).raise_for_status().json() for path in ANSWERED}
        crops = {url for answer in found.values() for url in re.findall(r"'url': '(/crops/[^']+)'", str(answer))}
        assert len(crops) > 10
        return found | {url: client.get(url).raise_for_status().content for url in sorted(crops)}


def test_a_home_that_was_lost_answers_again_from_its_copy(tmp_path: Path) -> None:
    """By the commands of the handbook. Kafka is not in the copy; what comes after that is worked through as ever."""
    home, copy = Home(tmp_path / "home"), tmp_path / "castlist.tar"
    with home.up("--servers-only") as stack:
        asyncio.run(fill(stack, home.folder))
    with home.up() as stack:
        before = answers(stack)
    save, load = (line for line in commands_of("Back up and restore") if line.startswith(("tar ", "mkdir ")))
    environment = {**os.environ, "CASTLIST_HOME": str(home.folder)}
    subprocess.run(save, shell=True, check=True, cwd=tmp_path, env=environment)
    assert copy.exists()
    shutil.rmtree(home.folder)
    subprocess.run(load, shell=True, check=True, cwd=tmp_path, env=environment)
    assert not (home.folder / "data" / "kafka").exists()
    with home.up() as stack:
        assert answers(stack) == before
        asyncio.run(add(stack))
        api = Api(stack)
        eventually(partial(api.is_settled, LATER.gallery))
        people = api.get(f"/videos/{LATER.video_id}/profiles").json()["items"]
        known = {person["id"] for person in before["/profiles?gallery=newsroom"]["items"]}
        assert [person["id"] in known for person in people].count(True) == 1


async def add(stack: RunningStack) -> None:
    """One more video, with somebody who is known and somebody who is not."""
    async with connected(stack) as (store, publisher):
        await submit(store, publisher, LATER)
