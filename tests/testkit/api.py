"""The running services as a client sees them."""

import time
import uuid
from pathlib import Path
from typing import Any

import httpx

from conftest import RunningStack

FINAL = ("done", "failed", "cancelled")


def new_gallery(purpose: str) -> str:
    """A gallery nobody else uses."""
    return f"{purpose}-{uuid.uuid4().hex[:8]}"


class Api:
    """Plain HTTP against both services of a stack."""

    http = httpx.Client(timeout=60)  # one for all tests, so that none leaves connections open behind it

    def __init__(self, stack: RunningStack) -> None:
        self.ingest, self.query = stack.ingest_url, stack.query_url

    def upload(self, path: Path, gallery: str, name: str | None = None, **fields: str) -> httpx.Response:
        """POST /videos."""
        with path.open("rb") as file:
            files = {"file": (name or path.name, file)}
            return self.http.post(f"{self.ingest}/videos", data={"gallery": gallery, **fields}, files=files)

    def submit(self, path: Path, gallery: str) -> dict[str, Any]:
        """Upload what must be accepted; the answer."""
        answer = self.upload(path, gallery)
        assert answer.status_code in (200, 202), answer.text
        return dict(answer.json())

    def task(self, task_id: str) -> dict[str, Any]:
        """The task, also while query-api is away for a moment."""
        for _ in range(100):
            try:
                answer = self.http.get(f"{self.query}/tasks/{task_id}")
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            if answer.status_code == 200:
                return dict(answer.json())
            time.sleep(0.2)
        raise AssertionError(f"task {task_id}: {answer.status_code} {answer.text}")

    def finished(self, task_id: str, patience: float = 90) -> dict[str, Any]:
        """The task in its final state."""
        until = time.monotonic() + patience
        while (task := self.task(task_id))["status"] not in FINAL:
            assert time.monotonic() < until, f"not finished after {patience} s: {task}"
            time.sleep(0.1)
        return task

    def running(self, task_id: str, patience: float = 60) -> dict[str, Any]:
        """The task with some of its chunks done and some not: in the middle of its work."""
        until = time.monotonic() + patience
        while True:
            task = self.task(task_id)
            if task["status"] == "processing" and 0 < task["chunks_done"] < task["chunks_planned"]:
                return task
            assert task["status"] not in FINAL, f"over before its middle was seen: {task}"
            assert time.monotonic() < until, f"never in the middle: {task}"
            time.sleep(0.01)

    def profiles(self, gallery: str) -> list[dict[str, Any]]:
        """Everybody in a gallery."""
        answer = self.http.get(f"{self.query}/profiles", params={"gallery": gallery, "limit": 500})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def get(self, path: str, **params: Any) -> httpx.Response:
        """GET from query-api."""
        return self.http.get(f"{self.query}{path}", params=params)
