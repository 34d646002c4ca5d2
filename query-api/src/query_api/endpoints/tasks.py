"""Tasks, and a stream of one task's changes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from castlist.clock import now_utc
from castlist.ports.documents import Document
from castlist.ports.errors import Unavailable
from castlist.service.operations import NoQuery
from castlist.service.problems import Problem
from castlist.store.collections import TASKS
from castlist.tasks.lifecycle import CANCELLED, FINAL
from query_api.http.cursors import Order
from query_api.http.parameters import TaskQuery
from query_api.http.responses import answer, instant
from query_api.read_model import Reading


class Tasks:
    """GET /tasks …"""

    def __init__(self, reading: Reading, look_every: float = 0.25, comment_every: float = 15.0) -> None:
        self._reading, self._look_every, self._comment_every = reading, look_every, comment_every

    async def list_tasks(self, _: Request, query: TaskQuery) -> Response:
        """Tasks, oldest first."""
        given = query.model_dump(include={"gallery", "status", "video_id"}, exclude_none=True)
        rows, cursor = await self._reading.page(TASKS, given, Order("created_at"), query.limit, query.cursor)
        return answer({"items": await self._reading.tasks(rows, now_utc()), "next_cursor": cursor})

    async def get_task(self, request: Request, _: NoQuery) -> Response:
        """One task."""
        return answer(await self._task(request.path_params["task_id"]))

    async def task_events(self, request: Request, _: NoQuery) -> Response:
        """Server-sent events: the task at every change, until its final state."""
        first = await self._task(request.path_params["task_id"])
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._changes(first), media_type="text/event-stream", headers=headers)

    async def _changes(self, task: Document) -> AsyncIterator[bytes]:
        shown: Document | None = None
        said = time.monotonic()
        while True:
            now = {**task, "eta_seconds": None}
            if now != shown:
                shown, said = now, time.monotonic()
                yield b"event: task\ndata: " + orjson.dumps(task) + b"\n\n"
            if task["status"] in FINAL:
                return
            if time.monotonic() - said >= self._comment_every:
                said = time.monotonic()
                yield b": still here\n\n"
            await asyncio.sleep(self._look_every)
            # While the database is away the client stays connected; it hears of the next change.
            with contextlib.suppress(Unavailable):
                task = await self._reading.task(task["id"], now_utc()) or _deleted(task)

    async def _task(self, task_id: str) -> Document:
        task = await self._reading.task(task_id, now_utc())
        if task is None:
            raise Problem(404, "There is no such task.")
        return task


def _deleted(task: Document) -> Document:
    """How a task ends that went with its video."""
    error = {"code": "video_deleted", "message": "The video was deleted."}
    return {**task, "status": CANCELLED, "error": error, "finished_at": instant(now_utc())}
