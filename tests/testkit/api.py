"""The running services as a client sees them."""

import uuid
from pathlib import Path
from typing import Any

import httpx2

from testkit.eventually import PATIENCE, eventually
from testkit.running_stack import RunningStack

FINAL = ("done", "failed", "cancelled")


def new_gallery(purpose: str) -> str:
    """A gallery that no other test uses."""
    return f"{purpose}-{uuid.uuid4().hex[:8]}"


class Api:
    """Plain HTTP against both services of a stack."""

    http = httpx2.Client(timeout=60)  # one for all tests, so that none leaves connections open behind it

    def __init__(self, stack: RunningStack) -> None:
        self.ingest, self.query = stack.ingest_url, stack.query_url

    def upload(self, path: Path, gallery: str, name: str | None = None, **fields: str) -> httpx2.Response:
        """POST /videos."""
        with path.open("rb") as file:
            files = {"file": (name or path.name, file)}
            return self.http.post(f"{self.ingest}/videos", data={"gallery": gallery, **fields}, files=files)

    def submit(self, path: Path, gallery: str, **fields: str) -> dict[str, Any]:
        """Upload what must be accepted; the answer."""
        answer = self.upload(path, gallery, **fields)
        assert answer.status_code in (200, 202), answer.text
        return dict(answer.json())

    def task(self, task_id: str) -> dict[str, Any]:
        """The task, also while query-api is away for a moment."""

        def answered() -> dict[str, Any] | None:
            try:
                answer = self.get(f"/tasks/{task_id}")
            except httpx2.TransportError:
                return None
            return dict(answer.json()) if answer.status_code == 200 else None

        return dict(eventually(answered))

    def finished(self, task_id: str, patience: float = 90) -> dict[str, Any]:
        """The task in its final state."""

        def ended() -> dict[str, Any] | None:
            task = self.task(task_id)
            return task if task["status"] in FINAL else None

        return dict(eventually(ended, patience, showing=lambda: self.task(task_id)))

    def running(self, task_id: str, patience: float = PATIENCE) -> dict[str, Any]:
        """The task with some of its chunks done and some not: in the middle of its work."""

        def in_the_middle() -> dict[str, Any] | None:
            task = self.task(task_id)
            assert task["status"] not in FINAL, f"over before its middle was seen: {task}"
            return task if task["chunks_planned"] and 0 < task["chunks_done"] < task["chunks_planned"] else None

        return dict(eventually(in_the_middle, patience, pause=0.01, showing=lambda: self.task(task_id)))

    def profiles(self, gallery: str) -> list[dict[str, Any]]:
        """The people of a gallery."""
        answer = self.get("/profiles", gallery=gallery, limit=500)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def is_settled(self, gallery: str) -> bool:
        """Whether everything that was asked of the gallery has taken effect."""
        return bool(self.get(f"/galleries/{gallery}").json()["settled"])

    def get(self, path: str, **params: Any) -> httpx2.Response:
        """GET from query-api."""
        return self.http.get(f"{self.query}{path}", params=params)
