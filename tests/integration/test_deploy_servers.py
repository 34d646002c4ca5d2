"""`python3 deploy up` with the real Kafka, MongoDB and S3, in homes of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from deploy.config import read_dotenv
from deploy.supervision.ports import free_port
from testkit.eventually import eventually
from testkit.processes import runs
from testkit.running_stack import RunningStack
from testkit.source import ROOT

GIVEN = ("KAFKA_BOOTSTRAP", "MONGO_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY")

pytestmark = pytest.mark.stack


@dataclass
class Local:
    """One home, and `python3 deploy` for it."""

    home: Path
    extra: dict[str, str] = field(default_factory=dict)

    def deploy(self, *words: str) -> "subprocess.CompletedProcess[str]":
        env = {name: value for name, value in os.environ.items() if name not in GIVEN}
        env |= {"CASTLIST_HOME": str(self.home), **self.extra}
        return subprocess.run([sys.executable, str(ROOT / "deploy"), *words], capture_output=True, text=True, env=env)

    def up(self, *words: str) -> None:
        done = self.deploy("up", "--servers-only", "--detach", *words)
        assert done.returncode == 0, done.stdout + done.stderr

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in json.loads(self.deploy("status", "--json").stdout)["processes"]}

    def setting(self, name: str) -> str:
        return read_dotenv(self.home / "env")[name]

    def mongo(self) -> "MongoClient[dict[str, Any]]":
        return MongoClient(self.setting("MONGO_URL"), serverSelectionTimeoutMS=20_000)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[..., Local]]:
    homes: list[Local] = []

    def make(name: str = "home", **extra: str) -> Local:
        homes.append(Local(tmp_path / name, extra))
        return homes[-1]

    yield make
    for home in homes:
        home.deploy("down")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, stack: RunningStack) -> Iterator[tuple[Local, Local]]:
    """A stack of our own, and the one that all tests run against beside it."""
    home = Local(tmp_path_factory.mktemp("own"))
    try:
        home.up()
        yield home, Local(stack.home)
    finally:
        home.deploy("down")


def pids_of_servers(home: Local) -> dict[str, int]:
    return {name: row["pid"] for name, row in home.rows().items() if name in ("kafka", "mongod", "s3")}


def test_data_and_addresses_outlive_stops_and_a_killed_supervisor(local: Callable[..., Local]) -> None:
    """What was in MongoDB is there again; at no time is a server left that no supervisor watches.

    Addresses stay, except that of a server whose port another process has taken meanwhile: MongoDB's set remembers its
    node by address, so it is renamed, and leads again.
    """
    home = local()
    home.up()
    before = {name: row["address"] for name, row in home.rows().items()}
    pids = [row["pid"] for row in home.rows().values()]
    with home.mongo() as client:
        client["outlives"]["things"].insert_one({"_id": "thing"})
    port = home.rows()["mongod"]["port"]
    assert home.deploy("down").returncode == 0
    assert not [pid for pid in pids if runs(pid)]

    with socket.socket() as another:
        another.bind(("127.0.0.1", port))
        home.up()
    moved = {name: row["address"] for name, row in home.rows().items()}
    assert {name for name in before if moved[name] != before[name]} == {"mongod"}
    with home.mongo() as client:
        assert client["outlives"]["things"].find_one() == {"_id": "thing"}

    pids = [row["pid"] for row in home.rows().values()]
    os.kill(json.loads((home.home / "state.json").read_text())["supervisor"]["pid"], signal.SIGKILL)
    eventually(lambda: not any(runs(pid) for pid in pids))
    assert home.deploy("status").returncode == 3
    home.up()
    assert {row["state"] for row in home.rows().values()} == {"ready"}
    assert {name: row["address"] for name, row in home.rows().items()} == moved
    with home.mongo() as client:
        assert client["outlives"]["things"].find_one() == {"_id": "thing"}


def test_two_stacks_have_ports_and_keys_of_their_own(pair: tuple[Local, Local]) -> None:
    """And the store answers no request without a key."""
    first, second = pair
    ports = [row["port"] for home in pair for name, row in home.rows().items() if name in ("kafka", "mongod", "s3")]
    assert len(set(ports)) == 6
    assert first.setting("S3_SECRET_KEY") != second.setting("S3_SECRET_KEY")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(first.setting("S3_ENDPOINT"), timeout=5)


def test_each_server_comes_back_after_a_kill(pair: tuple[Local, Local]) -> None:
    """With a new pid, and ready again: a broker in service, a primary, an answering store. The other stack goes on."""
    home, other = pair
    untouched = pids_of_servers(other)
    former = {name: row["pid"] for name, row in home.rows().items()}
    assert set(former) == {"kafka", "mongod", "s3"}
    for pid in former.values():
        os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        rows = home.rows()
        return all(row["state"] == "ready" and row["pid"] != former[name] for name, row in rows.items())

    eventually(back)
    assert {name: row["restarts"] for name, row in home.rows().items()} == {"kafka": 1, "mongod": 1, "s3": 1}
    with home.mongo() as client:
        assert client.admin.command("hello")["isWritablePrimary"] is True
    assert pids_of_servers(other) == untouched


def test_given_servers_are_used_and_not_started(pair: tuple[Local, Local], local: Callable[..., Local]) -> None:
    """What the environment points to is listed as given, and stopping the stack leaves it alone."""
    owner = pair[0]
    guest = local("guest", **{name: owner.setting(name) for name in GIVEN})
    guest.up()
    rows = guest.rows()
    assert {name: (row["state"], row["pid"]) for name, row in rows.items()} == {
        "kafka": ("given", None),
        "mongod": ("given", None),
        "s3": ("given", None),
    }
    assert guest.setting("MONGO_URL") == owner.setting("MONGO_URL")
    assert guest.deploy("down").returncode == 0
    assert {row["state"] for row in owner.rows().values()} == {"ready"}


def test_logs_show_the_end_of_one_log(pair: tuple[Local, Local]) -> None:
    """And name those that exist when asked for another."""
    home = pair[1]
    assert "mongod is ready" in home.deploy("logs", "supervisor").stdout
    wrong = home.deploy("logs", "nobody")
    assert wrong.returncode == 1
    assert "no log of nobody" in wrong.stderr
    assert "kafka" in wrong.stderr


def test_a_service_port_in_use_stops_up_with_one_line(local: Callable[..., Local]) -> None:
    """Before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        others = {name: str(free_port()) for name in ("QUERY_PORT", "WORKERS_PORT", "AGGREGATOR_PORT")}
        home = local("home", INGEST_PORT=str(port), **others)
        done = home.deploy("up", "--detach")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"deploy: port {port} of ingest is in use by process {os.getpid()}")
    assert home.rows() == {}
