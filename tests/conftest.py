"""Which tests run where, and the handle on the running stack that the `stack` and `faults` tests take.

`python3 deploy test` starts a stack and exports its addresses. A plain `pytest`
skips what needs one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the deploy folder is a package of the repository's root

ADDRESSES = ("KAFKA_BOOTSTRAP", "MONGO_URL", "S3_ENDPOINT")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_stack = pytest.mark.skip(reason="needs the stack: `python3 deploy test`")
    long = pytest.mark.skip(reason="long: `python3 deploy test --faults`")
    # Under `deploy test` nothing that needs the stack is skipped: without one it has to fail.
    has_stack = os.environ.get("CASTLIST_TEST_STACK") == "1" or all(os.environ.get(name) for name in ADDRESSES)
    for item in items:
        if item.get_closest_marker("stack") and not has_stack:
            item.add_marker(no_stack)
        if item.get_closest_marker("faults") and item.get_closest_marker("slow") and not _faults():
            item.add_marker(long)


def _faults() -> bool:
    return os.environ.get("CASTLIST_FAULTS") == "1"


@dataclass(frozen=True)
class RunningStack:
    """The stack the tests run against. Processes are named as in `python3 deploy status`."""

    home: Path
    ingest_url: str
    query_url: str
    kafka_bootstrap: str
    mongo_url: str
    s3_endpoint: str

    def processes(self) -> dict[str, dict[str, Any]]:
        """name → pid, state, restarts, port, address, log."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "deploy"), "status", "--json"],
            capture_output=True, text=True, env={**os.environ, "CASTLIST_HOME": str(self.home)},
        )  # fmt: skip
        return {row["name"]: row for row in json.loads(done.stdout)["processes"]}

    def pid(self, name: str) -> int:
        """Its process now; fails when it is not running."""
        pid = self.processes()[name]["pid"]
        assert pid is not None, f"{name} is not running"
        return int(pid)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send `number` to the process; returns the pid that got it. The supervisor starts it again."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def wait_restarted(self, name: str, former: int, patience: float = 60.0) -> int:
        """Wait until another process than `former` is ready under `name`; returns its pid."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            row = self.processes()[name]
            if row["state"] == "ready" and row["pid"] not in (None, former):
                return int(row["pid"])
            time.sleep(0.1)
        raise AssertionError(f"{name} was not started again within {patience} s: {self.processes()[name]}")

    def wait_ready(self, patience: float = 60.0) -> None:
        """Wait until every process is ready."""
        until = time.monotonic() + patience
        while any(row["state"] not in ("ready", "given") for row in self.processes().values()):
            assert time.monotonic() < until, f"not ready within {patience} s: {self.processes()}"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def stack() -> RunningStack:
    """The stack of `python3 deploy test`, or the one whose `CASTLIST_HOME/env` was sourced."""
    home = os.environ.get("CASTLIST_TEST_HOME") or os.environ.get("CASTLIST_HOME")
    assert home, "a stack's addresses are set, its CASTLIST_HOME is not"
    names = ("INGEST_URL", "QUERY_URL", *ADDRESSES)
    return RunningStack(Path(home), *(os.environ[name] for name in names))
