"""JSON is written by hand, for speed: these hold it to the models that describe it."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx2
import pytest

from castlist.api.appearances import AppearancePage, TimelinePage
from castlist.api.galleries import Gallery, GalleryPage, GallerySettings, GalleryStats
from castlist.api.profiles import Profile, ProfilePage
from castlist.api.resource import Resource
from castlist.api.suggestions import Suggestions
from castlist.api.tasks import Status, Task, TaskPage
from castlist.api.videos import Video, VideoPage, VideoTimeline
from castlist.contract.ids import task_id
from castlist.contract.values import AnalysisSettings
from castlist.contract.video_warnings import WARNING_CODES, warning
from castlist.store.query import ANY, set_to
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.tasks import TaskError
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from castlist.tasks import lifecycle
from query_api.http.rendering import instant
from testkit.stored import Stored

NOW = datetime(2026, 3, 4, 5, 6, 7, 123000, tzinfo=UTC)


async def holds(client: httpx2.AsyncClient, path: str, model: type[Resource]) -> None:
    """Read by the model and written again, an answer is the same: no field more or less, no other form of a value."""
    answer = await client.get(path)
    assert answer.status_code == 200
    assert json.loads(model.model_validate_json(answer.content).model_dump_json()) == answer.json()


async def test_every_answer_is_what_its_model_describes(client: httpx2.AsyncClient, store: Store) -> None:
    """With its optional values and without them."""
    stored = Stored(store, "g")
    video = await stored.video(
        status=lifecycle.PROCESSING, recorded_at=NOW, external_id="cam", sha256="ab" * 32, bytes=5
    )
    profile = await stored.profile([video], name="Ada")
    of_video: dict[str, Any] = {
        f"/tasks/{task_id(video, 1)}": Task,
        "/tasks": TaskPage,
        f"/videos/{video}": Video,
        "/videos": VideoPage,
        f"/videos/{video}/profiles": ProfilePage,
        f"/profiles/{profile}": Profile,
        "/profiles?gallery=g&limit=1": ProfilePage,
        f"/profiles/{profile}/appearances": AppearancePage,
        f"/videos/{video}/timeline": VideoTimeline,
        f"/profiles/{profile}/timeline": TimelinePage,
        "/galleries/g/stats": GalleryStats,
        "/galleries": GalleryPage,
        "/galleries/g": Gallery,
        "/galleries/g/settings": GallerySettings,
        "/galleries/g/suggestions": Suggestions,
    }
    for path, model in of_video.items():
        await holds(client, path, model)
    facts = set_to(VideoRecord.duration, 3.5) & set_to(VideoRecord.width, 640) & set_to(VideoRecord.frame_rate, 29.97)
    await store.videos.update(ANY, facts & set_to(VideoRecord.recorded_at, None))
    await store.appearances.update(ANY, set_to(AppearanceRecord.crop, None))
    settings = AnalysisSettings(detector="cnn")
    await stored.change_task(
        video,
        status="failed",
        error=TaskError("internal", "m"),
        finished_at=NOW,
        settings=settings,
        warnings=("truncated", warning("gap", 1.5, 3.0), warning("truncated", 31.2)),
    )
    for path, model in of_video.items():
        await holds(client, path, model)


@pytest.mark.parametrize("status", ["queued", "processing", "done", "failed", "cancelled"])
async def test_a_task_is_what_its_model_describes_in_each_state(
    client: httpx2.AsyncClient, store: Store, status: Status
) -> None:
    """How many people there are is told of one that is done, and how long it takes of one that is under way."""
    video = await Stored(store, "g").video(status=status)
    path = f"/tasks/{task_id(video, 1)}"
    await holds(client, path, Task)
    task = (await client.get(path)).json()
    assert (task["people"] is not None) == (status == "done")
    assert (task["eta_seconds"] is not None) == (status == "processing")


async def test_a_warning_of_before_is_shown_as_a_code(client: httpx2.AsyncClient, store: Store) -> None:
    """0.1.0 stored the code alone; times are there only where they are known."""
    stored = Stored(store, "g")
    video = await stored.video(status="done")
    await stored.change_task(video, warnings=("truncated", warning("gap", 1.5, 3.0)))
    shown = (await client.get(f"/tasks/{task_id(video, 1)}")).json()["warnings"]
    assert shown == [
        {"code": "truncated", "message": WARNING_CODES["truncated"]},
        {"code": "gap", "message": WARNING_CODES["gap"], "start": 1.5, "end": 3.0},
    ]


def test_an_instant_is_given_in_utc_with_z() -> None:
    """Whatever zone it comes in; fractions only where there are any."""
    assert instant(NOW) == "2026-03-04T05:06:07.123000Z"
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30))).replace(microsecond=0)
    assert instant(elsewhere) == "2026-03-04T05:06:07Z"
    assert instant(None) is None
