"""A stack of a bench's own: fresh, in a home of its own on free ports, gone afterwards; and what it says of itself."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(ROOT), str(ROOT / "tests")]  # `deploy`, and what the tests use to make clips and look into topics

from deploy.config import Config, load_config  # noqa: E402
from deploy.supervision.background import ended_by_sigterm, settings_of, temporary_stack  # noqa: E402
from deploy.supervision.home import Home  # noqa: E402
from deploy.supervision.stack import public_addresses  # noqa: E402
from deploy.supervision.state import read_processes  # noqa: E402

_ELSEWHERE = ("KAFKA_BOOTSTRAP", "MONGO_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "QUERY_URL")
_FINAL = ("done", "failed", "cancelled")
_CHILD = "frame_workers.slots.child_main"


@dataclass(frozen=True)
class OwnStack:
    """A running stack, from outside."""

    config: Config
    settings: dict[str, str]
    http: httpx.Client

    @property
    def ingest_url(self) -> str:
        return public_addresses(self.config)["INGEST_URL"]

    @property
    def query_url(self) -> str:
        return public_addresses(self.config)["QUERY_URL"]

    @property
    def kafka_bootstrap(self) -> str:
        return self.settings["KAFKA_BOOTSTRAP"]

    def upload(self, path: Path, gallery: str) -> dict[str, Any]:
        """What ingest says to it; SystemExit where that is not 202."""
        with path.open("rb") as file:
            files = {"file": (path.name, file)}
            answer = self.http.post(f"{self.ingest_url}/videos", data={"gallery": gallery}, files=files)
        if answer.status_code != 202:
            raise SystemExit(f"not accepted: {answer.status_code} {answer.text}")
        return dict(answer.json())

    def over(self, task_id: str) -> bool:
        """Whether the task is done; SystemExit if it has ended otherwise."""
        task = self.http.get(f"{self.query_url}/tasks/{task_id}").raise_for_status().json()
        if task["status"] in _FINAL and task["status"] != "done":
            raise SystemExit(f"the task {task['status']}: {task['error']}")
        return bool(task["status"] == "done")

    def processes(self) -> dict[str, psutil.Process]:
        """By name: the servers and the services, as `status` lists them."""
        return {row["name"]: psutil.Process(row["pid"]) for row in read_processes(Home(self.config.home)) if row["pid"]}

    def slots(self) -> list[psutil.Process]:
        """The children of frame-workers that work through chunks, one a slot."""
        children = self.processes()["frame-workers"].children()
        return [child for child in children if _CHILD in (words := child.cmdline()) and "chunk" in words]

    def core_seconds(self) -> dict[str, float]:
        """CPU spent so far, by process; that of the slots together as `slots`."""
        spent = {name: _spent(process) for name, process in self.processes().items()}
        return {**spent, "slots": sum(map(_spent, self.slots()))}

    def said(self, service: str, message: str) -> Iterator[dict[str, Any]]:
        """The lines of a service's log with this message; `at` is when that was, in seconds since the epoch."""
        for line in (self.config.home / "logs" / f"{service}.log").read_text("utf-8", "replace").splitlines():
            if message in line and line.startswith("{"):
                said = json.loads(line)
                if said["message"] == message:
                    yield {**said, "at": datetime.fromisoformat(said["at"]).timestamp()}


@contextlib.contextmanager
def own_stack(purpose: str, workers: int) -> Iterator[OwnStack]:
    """A stack with so many slots while inside. What its supervisor tells goes to stderr; Ctrl-C and SIGTERM end it."""
    for name in _ELSEWHERE:
        os.environ.pop(name, None)
    os.environ["WORKERS"] = str(workers)
    config = load_config().without_given_servers()
    with ended_by_sigterm(), contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):
            running = stack.enter_context(temporary_stack(config, f"bench-{purpose}"))
        http = stack.enter_context(httpx.Client(timeout=600))
        yield OwnStack(running, settings_of(running), http)


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
