"""Whatever is killed in the middle of a 60 s clip, the same people come out, once.

Each test sees with its own eyes that the clip was in the middle of its chunks when it struck: some done, some not.
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from testkit import clips
from testkit.api import FINAL, Api, new_gallery
from testkit.database import Database
from testkit.eventually import eventually
from testkit.lost_kafka import lose_kafka
from testkit.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.faults]


@pytest.fixture
def api(stack: RunningStack) -> Iterator[Api]:
    stack.wait_ready(120)
    yield Api(stack)
    stack.wait_ready(120)


def right(api: Api, database: Database, submitted: dict[str, Any], gallery: str) -> None:
    """Done, two people (Obama and Biden), each once, each chunk stored once, the gallery committed once."""
    task = api.finished(submitted["task_id"], patience=150)
    assert (task["status"], task["people"], task["error"]) == ("done", 2, None)
    profiles = api.profiles(gallery)
    assert [[a["video_id"] for a in p["appearances"]] for p in profiles] == [[submitted["video_id"]]] * 2
    assert database.persons.count_documents({"gallery": gallery}) == 2
    assert database.galleries.find_one({"_id": gallery})["version"] == 1
    stored = [chunk["chunk"] for chunk in database.chunks.find({"attempt": f"{submitted['video_id']}:1"})]
    assert sorted(stored) == list(range(task["chunks_planned"]))


def submit_minute(api: Api, purpose: str) -> tuple[dict[str, Any], str]:
    """The 60 s clip, caught in the middle of its work."""
    gallery = new_gallery(purpose)
    submitted = api.submit(clips.minute(), gallery)
    api.running(submitted["task_id"])
    return submitted, gallery


def busy_child(stack: RunningStack) -> psutil.Process:
    """The worker child that has just used the most CPU: it is at work on a chunk."""
    children = stack.slots()
    for child in children:
        child.cpu_percent()
    time.sleep(0.05)
    return max(children, key=lambda child: child.cpu_percent())


def test_a_killed_worker_child_costs_one_chunk_of_work(stack: RunningStack, api: Api, database: Database) -> None:
    """Its chunk is redone, its parent lives on, and the log says that an attempt failed."""
    parent = stack.pid("frame-workers")
    submitted, gallery = submit_minute(api, "child")
    busy_child(stack).kill()
    right(api, database, submitted, gallery)
    assert stack.pid("frame-workers") == parent
    failed = [line["job"] for line in stack.logged("frame-workers", "attempt_failed")]
    assert [job for job in failed if job.startswith(submitted["video_id"])]


@pytest.mark.parametrize("name", ["frame-workers", "profile-aggregator"])
def test_a_killed_service_is_started_again_and_nothing_is_missing(
    stack: RunningStack, api: Api, database: Database, name: str
) -> None:
    """kill -9 in the middle; none of its children lives on."""
    submitted, gallery = submit_minute(api, "service")
    pid = stack.pid(name)
    family = psutil.Process(pid).children(recursive=True)
    stack.kill(name)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
    right(api, database, submitted, gallery)
    stack.wait_restarted(name, pid)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["query-api", "ingest"])
def test_a_killed_api_interrupts_no_work(stack: RunningStack, api: Api, database: Database, name: str) -> None:
    """What was accepted goes on without the service that accepted or shows it."""
    submitted, gallery = submit_minute(api, "api")
    pid = stack.kill(name)
    stack.wait_restarted(name, pid)
    right(api, database, submitted, gallery)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kafka", "mongod", "s3"])
def test_a_killed_server_delays_and_loses_nothing(stack: RunningStack, api: Api, database: Database, name: str) -> None:
    """kill -9 of a server in the middle of the clip, and one upload more while it is away or just back."""
    submitted, gallery = submit_minute(api, "server")
    pid = stack.kill(name)
    stack.wait_restarted(name, pid, 120)
    right(api, database, submitted, gallery)
    second = api.submit(clips.sample("tuesday"), new_gallery("after"))
    assert api.finished(second["task_id"])["status"] == "done"


@pytest.mark.parametrize(
    ("name", "times"),
    [("frame-workers", 1), ("profile-aggregator", 2)]
    + [
        pytest.param(name, times, marks=pytest.mark.slow)
        for name, times in [("profile-aggregator", 20), ("frame-workers", 5), ("ingest", 5), ("query-api", 5)]
    ],
)
def test_sigterm_under_load_loses_nothing(stack: RunningStack, api: Api, name: str, times: int) -> None:
    """Stopped politely again and again while videos are on their way, no input twice: every task is done.

    Faust acknowledges what it cancels; a shutdown that lets it would lose a message, and with it a video.
    """
    gallery = new_gallery("sigterm")
    folder = Path(clips.minute()).parent
    submitted: list[dict[str, Any]] = []
    struck = 0
    for turn in range(times):
        names = [f"{gallery}-{turn}-{i}" for i in range(3)]
        paths = [clips.write(folder / f"{name}.mp4", clips.two_people(0.4), comment=name) for name in names]
        for path in paths:
            submitted.append(api.submit(path, gallery))
            path.unlink()
        pid = stack.pid(name)
        under_load = any(api.task(one["task_id"])["status"] not in FINAL for one in submitted)
        stack.kill(name, signal.SIGTERM)
        struck += under_load
        stack.wait_restarted(name, pid, 90)
    assert struck == times, "stopped while nothing was on its way"
    for one in submitted:
        assert api.finished(one["task_id"], patience=150)["status"] == "done"
    assert sorted(p["video_count"] for p in api.profiles(gallery)) == [len(submitted)] * 2


@pytest.mark.slow
def test_work_is_announced_again_when_kafka_has_lost_its_data(
    stack: RunningStack, api: Api, database: Database
) -> None:
    """Kafka is killed and its data deleted while chunks, a plan and a commit are open: all of it is finished.

    Also what the lost `VideoPlanned` said: how long and how large each video is.
    """
    submitted, gallery = submit_minute(api, "lost")
    queued = api.submit(clips.sample("tuesday"), gallery)
    lose_kafka(stack)
    for one in (submitted, queued):
        assert api.finished(one["task_id"], patience=180)["status"] == "done"
        video = api.get(f"/videos/{one['video_id']}").json()
        assert (video["width"], video["height"], video["duration"] > 1) == (640, 480, True)
    eventually(lambda: len(api.profiles(gallery)) == 3)
    assert database.ledger.count_documents({"_id": {"$regex": f"^{gallery}:"}}) == 2
