"""Tasks, and a stream of one task's changes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from castlist.api.tasks import Task, TaskPage
from castlist.clock import now_utc
from castlist.ports.errors import UnavailableError
from castlist.service.operations import Reply, operation
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery
from castlist.store.query import ANY, eq
from castlist.store.records.tasks import TaskRecord
from castlist.tasks.lifecycle import CANCELLED, FINAL
from query_api.endpoints.named_resources import ensure_known
from query_api.endpoints.replies import none, one, page
from query_api.http.cursors import Order
from query_api.http.parameters import TaskQuery
from query_api.http.rendering import Json, dumped, instant, json_page, json_response
from query_api.read_model import ReadModel
from query_api.record_changes import RecordChanges

_AGAIN = 1.0
"""Seconds between two attempts to read a task that changed, while the database is away."""


class Tasks:
    """/tasks …"""

    def __init__(self, model: ReadModel, changes: RecordChanges, comment_every: float = 15.0) -> None:
        self._model, self._changes, self._comment_every = model, changes, comment_every

    @operation(
        "GET",
        "/tasks",
        tag="tasks",
        summary="Tasks",
        replies={**page("tasks, the oldest first", TaskPage), **none("gallery")},
        query=TaskQuery,
    )
    async def list_tasks(self, request: Request, query: TaskQuery) -> Response:
        """List the runs over videos, of one gallery, one video or one state if that is asked for."""
        where = ANY
        if query.gallery is not None:
            where &= eq(TaskRecord.gallery, query.gallery)
        if query.status is not None:
            where &= eq(TaskRecord.status, query.status)
        if query.video_id is not None:
            where &= eq(TaskRecord.video_id, query.video_id)
        order = Order(TaskRecord.created_at)
        records, cursor = await self._model.page(self._model.store.tasks, where, order, query.limit, query.cursor)
        if not records:
            await ensure_known(self._model.store, query.gallery)
        return json_page(request, await self._model.tasks(records, now_utc()), cursor)

    @operation("GET", "/tasks/{task_id}", tag="tasks", summary="A task", replies=one("task", Task))
    async def get_task(self, request: Request, _: NoQuery) -> Response:
        """Show how far the work on a video is, and how it ended. A task is there as soon as its upload was answered."""
        return json_response(await self._task(request.path_params["task_id"]))

    @operation(
        "GET",
        "/tasks/{task_id}/events",
        tag="tasks",
        summary="A task's changes, as they happen",
        replies={
            200: Reply("The task, as an event `task`, at every change.", media="text/event-stream"),
            **none("task"),
        },
    )
    async def task_events(self, request: Request, _: NoQuery) -> Response:
        """Follow a task by server-sent events: the same document at every change, until its final state."""
        first = await self._task(request.path_params["task_id"])
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._states(first), media_type="text/event-stream", headers=headers)

    async def _states(self, task: Json) -> AsyncIterator[bytes]:
        said: Json | None = None
        said_at = time.monotonic()
        with self._changes.followed(task["id"]) as changed:
            while True:
                now = {**task, "eta_seconds": None}
                if now != said:
                    said, said_at = now, time.monotonic()
                    yield b"event: task\ndata: " + dumped(task) + b"\n\n"
                if task["status"] in FINAL:
                    return
                if time.monotonic() - said_at >= self._comment_every:
                    said_at = time.monotonic()
                    yield b": still here\n\n"
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._comment_every):
                        await changed.wait()
                if changed.is_set():
                    changed.clear()
                    try:
                        task = await self._model.task(task["id"], now_utc()) or _deleted(task)
                    except UnavailableError:  # the client stays connected, and hears of it later
                        changed.set()
                        await asyncio.sleep(_AGAIN)

    async def _task(self, task_id: str) -> Json:
        task = await self._model.task(task_id, now_utc())
        if task is None:
            raise Problem(404, "There is no such task.")
        return task


def _deleted(task: Json) -> Json:
    """How a task ends that went with its video."""
    error = {"code": "video_deleted", "message": "The video was deleted."}
    return {**task, "status": CANCELLED, "error": error, "finished_at": instant(now_utc())}
