"""Stopping tasks and running them again. They are shown by query-api."""

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from castlist.api.tasks import TaskCancelled
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.service.operations import Reply, operation, problem
from castlist.service.problems import Problem
from castlist.service.request_parsing import NoQuery
from castlist.store.records.tasks import TaskRecord
from castlist.store.store import Store
from ingest.acceptance import Acceptance
from ingest.endpoints.answering import ACCEPTED, video_accepted

_NO_TASK = {404: problem("There is no such task.")}


class Tasks:
    """/tasks …"""

    def __init__(self, store: Store, acceptance: Acceptance, relay: OutboxRelay, query_url: str) -> None:
        self._store, self._acceptance, self._relay, self._query_url = store, acceptance, relay, query_url

    @operation(
        "POST",
        "/tasks/{task_id}/cancel",
        tag="tasks",
        summary="Stop the work on a task",
        replies={
            202: Reply("The task is cancelled; a repeated call is answered the same.", TaskCancelled),
            409: problem("The task is done or has failed."),
            **_NO_TASK,
        },
    )
    async def cancel_task(self, request: Request, _: NoQuery) -> Response:
        """End a task here and now. Nothing of it reaches a profile, and what it has left in S3 is removed."""
        task = await self._acceptance.cancel(await self._task(request))
        self._relay.wake()
        return JSONResponse(TaskCancelled(id=task.id, video_id=task.video_id, status="cancelled").model_dump(), 202)

    @operation(
        "POST",
        "/tasks/{task_id}/retry",
        tag="tasks",
        summary="Run a failed or cancelled task's video again",
        replies={**ACCEPTED, 409: problem("The task is done."), **_NO_TASK},
    )
    async def retry_task(self, request: Request, _: NoQuery) -> Response:
        """Make a new task on the video of one that failed or was cancelled; a repeated call gives the same new task."""
        accepted = await self._acceptance.retry(await self._task(request))
        self._relay.wake()
        return video_accepted(accepted, self._query_url)

    @operation(
        "GET",
        "/tasks/{task_id}",
        tag="tasks",
        summary="A task, at query-api",
        replies={307: Reply("Where query-api shows the task.")},
    )
    async def get_task(self, request: Request, _: NoQuery) -> Response:
        """Tasks are shown by query-api: follow the redirect."""
        return RedirectResponse(f"{self._query_url}/tasks/{request.path_params['task_id']}", 307)

    async def _task(self, request: Request) -> TaskRecord:
        task = await self._store.tasks.get(request.path_params["task_id"])
        if task is None:
            raise Problem(404, "There is no such task.")
        return task
