"""Cancelling and retrying tasks at ingest, while Kafka is away: what is answered holds without it."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from castlist.clock import now_utc
from castlist.contract import commands, ids
from castlist.contract.topics import VIDEO_CONTROL
from castlist.store.query import Where, eq
from castlist.store.records.outbox import OutboxRecord
from castlist.store.records.tasks import TaskError, TaskRecord
from castlist.tasks import lifecycle
from testkit.api import new_gallery
from testkit.own_ingest import QUERY, OwnIngest, own_ingest, video
from testkit.own_storage import own_database
from testkit.running_stack import RunningStack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def database(stack: RunningStack) -> Iterator[str]:
    with own_database(stack, "ingest") as name:
        yield name


@pytest.fixture
async def ingest(stack: RunningStack, database: str) -> AsyncIterator[OwnIngest]:
    async with own_ingest(stack, database) as running:
        yield running


async def submitted(ingest: OwnIngest) -> dict[str, Any]:
    answer = await ingest.upload(video(), new_gallery("tasks"))
    assert answer.status_code == 202
    return dict(answer.json())


async def end(ingest: OwnIngest, task: dict[str, Any], status: lifecycle.FinalStatus, epoch: int = 1) -> None:
    error = TaskError("internal", "test")
    assert await lifecycle.finish(ingest.store, task["video_id"], epoch, status, now_utc(), error)


def controls(task: dict[str, Any]) -> Where:
    """What the outbox holds of commands on the task's video."""
    return eq(OutboxRecord.topic, VIDEO_CONTROL.name) & eq(OutboxRecord.key, task["video_id"])


async def test_a_cancel_ends_the_task_and_tells_the_other_services(ingest: OwnIngest) -> None:
    """202 at once and when repeated; remembered, and in the outbox once, with its epoch."""
    task = await submitted(ingest)
    path = f"/tasks/{task['task_id']}/cancel"
    first, second = await ingest.client.post(path), await ingest.client.post(path)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert first.json() == {"id": task["task_id"], "video_id": task["video_id"], "status": "cancelled"}
    stored = await ingest.store.tasks.get(task["task_id"])
    assert stored is not None
    assert (stored.status, stored.error and stored.error.code) == ("cancelled", "cancelled")
    assert await ingest.store.cancels.get(ids.run_key(task["video_id"], 1)) is not None
    said = await ingest.store.outbox.find(controls(task))
    event = commands.CancelVideo.model_validate_json(said[0].value)
    assert (len(said), event.epoch) == (1, 1)


@pytest.mark.parametrize("status", [lifecycle.DONE, lifecycle.FAILED])
async def test_a_task_that_ended_cannot_be_cancelled(ingest: OwnIngest, status: lifecycle.FinalStatus) -> None:
    """409, it stays as it is, and no service is told to stop anything."""
    task = await submitted(ingest)
    await end(ingest, task, status)
    answer = await ingest.client.post(f"/tasks/{task['task_id']}/cancel")
    assert answer.status_code == 409
    stored = await ingest.store.tasks.get(task["task_id"])
    assert stored is not None
    assert stored.status == status
    assert await ingest.store.outbox.count(controls(task)) == 0


@pytest.mark.parametrize("status", [lifecycle.FAILED, lifecycle.CANCELLED])
async def test_a_retry_is_a_new_task_and_repeating_it_the_same_one(
    ingest: OwnIngest, status: lifecycle.FinalStatus
) -> None:
    """The old task stays as it ended; the new one is the video's latest."""
    task = await submitted(ingest)
    await end(ingest, task, status)
    path = f"/tasks/{task['task_id']}/retry"
    first, second = await ingest.client.post(path), await ingest.client.post(path)
    following = ids.task_id(task["video_id"], 2)
    assert (first.status_code, first.json()["task_id"], first.json()["status"]) == (202, following, "queued")
    assert first.headers["location"] == f"{QUERY}/tasks/{following}"
    assert (second.status_code, second.json()["task_id"]) == (200, following)
    await end(ingest, task, lifecycle.FAILED, epoch=2)
    assert (await ingest.client.post(path)).json()["task_id"] == following
    third = await ingest.client.post(f"/tasks/{following}/retry")
    assert (third.status_code, third.json()["task_id"]) == (202, ids.task_id(task["video_id"], 3))
    stored = await ingest.store.tasks.get(task["task_id"])
    assert stored is not None
    assert stored.status == status
    assert await ingest.store.tasks.count(eq(TaskRecord.video_id, task["video_id"])) == 3


async def test_a_retry_while_a_task_is_open_is_that_task(ingest: OwnIngest) -> None:
    """Of the open task itself, and of one before it."""
    task = await submitted(ingest)
    itself = await ingest.client.post(f"/tasks/{task['task_id']}/retry")
    assert (itself.status_code, itself.json()["task_id"]) == (200, task["task_id"])
    await end(ingest, task, lifecycle.DONE)
    assert (await ingest.client.post(f"/tasks/{task['task_id']}/retry")).status_code == 409


async def test_a_cancelled_video_can_be_taken_up_again(ingest: OwnIngest) -> None:
    """The cancel was about its epoch alone."""
    task = await submitted(ingest)
    await ingest.client.post(f"/tasks/{task['task_id']}/cancel")
    again = (await ingest.client.post(f"/tasks/{task['task_id']}/retry")).json()
    assert again["status"] == "queued"
    assert await lifecycle.is_wanted(ingest.store, task["video_id"], 2)
    assert not await lifecycle.is_wanted(ingest.store, task["video_id"], 1)


async def test_tasks_are_shown_by_query_api(ingest: OwnIngest) -> None:
    """307 there; what ingest does with a task it does to known ones only."""
    there = await ingest.client.get("/tasks/some-task")
    assert (there.status_code, there.headers["location"]) == (307, f"{QUERY}/tasks/some-task")
    assert (await ingest.client.post("/tasks/some-task/cancel")).status_code == 404
    assert (await ingest.client.post("/tasks/some-task/retry")).status_code == 404
    assert (await ingest.client.post("/tasks/some-task/retry?hard=1")).status_code == 422


async def test_the_api_describes_itself_offline(ingest: OwnIngest) -> None:
    """Both bodies of POST /videos are in the document, and the page loads nothing from elsewhere."""
    document = (await ingest.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    bodies = document["paths"]["/videos"]["post"]["requestBody"]["content"]
    form = bodies["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"file", "gallery", "name", "recorded_at", "external_id", "again", "identify"}
    assert set(bodies) == {"multipart/form-data", "application/json"}
    page = await ingest.client.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r"""<(?:script|link|img)[^>]*(?:src|href)=["']([^"']+)""", page.text)
    assert [address for address in loaded if not address.startswith("data:")] == []


async def test_uploads_and_requests_are_counted(ingest: OwnIngest) -> None:
    """/metrics has what became of them."""

    async def counted(line: str) -> float:
        found = re.search(rf"^{re.escape(line)} (\S+)$", (await ingest.client.get("/metrics")).text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    lines = (
        'castlist_uploads_total{outcome="accepted"}',
        'castlist_uploads_total{outcome="refused"}',
        'castlist_http_requests_total{route="POST /videos",status="202"}',
        'castlist_http_requests_total{route="POST /videos",status="415"}',
        'castlist_http_requests_total{route="POST /tasks/{task_id}/retry",status="404"}',
    )
    before = [await counted(line) for line in lines]
    await submitted(ingest)
    await ingest.upload(b"no video", "default")
    await ingest.client.post("/tasks/none/retry")
    assert [await counted(line) for line in lines] == [count + 1 for count in before]
