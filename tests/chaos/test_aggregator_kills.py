"""kill -9 of the aggregator before, inside and after its transaction: the same people, once."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from castlist import kafka, mongo
from conftest import RunningStack
from support.moments import (
    Moment,
    after_transaction,
    before_transaction,
    connect,
    freeze_at,
    inside_transaction,
)
from support.synthetic import SyntheticVideo, expected_videos, submit

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.slow]


@pytest.fixture
def database(stack: RunningStack) -> Iterator[Any]:
    found = connect(stack.mongo_url)
    yield found
    found.client.close()


async def send(stack: RunningStack, *videos: SyntheticVideo) -> None:
    documents = mongo.connect(stack.mongo_url, "castlist")
    publisher = kafka.KafkaPublisher(stack.kafka_bootstrap)
    try:
        for video in videos:
            await submit(documents, publisher, video)
    finally:
        await publisher.close()
        documents.close()


def shown(database: Any, gallery: str) -> list[tuple[str, ...]]:
    """For each profile, the videos it appears in."""
    profiles = [profile["_id"] for profile in database.profiles.find({"gallery": gallery})]
    return sorted(
        tuple(sorted(a["video_id"] for a in database.appearances.find({"profile_id": profile}))) for profile in profiles
    )


def all_done(database: Any, gallery: str, count: int) -> Callable[[], bool]:
    return lambda: database.tasks.count_documents({"gallery": gallery, "status": "done"}) == count


@pytest.mark.parametrize("moment", [before_transaction, inside_transaction, after_transaction])
async def test_a_killed_aggregator_commits_each_video_once(
    stack: RunningStack, database: Any, eventually: Callable[..., Any], moment: Moment
) -> None:
    """Frozen at the moment, killed there, started again by the supervisor: nothing is missing, nothing is twice."""
    gallery = f"kill-{uuid.uuid4().hex[:8]}"
    videos: list[SyntheticVideo] = []
    for attempt in range(40):
        video = SyntheticVideo(f"{gallery}-{attempt}", gallery, [[1, 2], [3 + attempt % 3]])
        videos.append(video)
        pid = stack.pid("profile-aggregator")
        await send(stack, video)
        if freeze_at(moment, database, video, pid):
            os.kill(pid, signal.SIGKILL)
            break
        eventually(all_done(database, gallery, len(videos)))
    else:
        pytest.fail(f"{moment.__name__} was never hit")
    late = SyntheticVideo(f"{gallery}-late", gallery, [[1], [2]])
    await send(stack, late)
    videos.append(late)
    stack.wait_restarted("profile-aggregator", pid, 90)
    eventually(all_done(database, gallery, len(videos)), 90)
    assert shown(database, gallery) == expected_videos(videos)
    assert database.ledger.count_documents({"_id": {"$regex": f"^{gallery}:"}}) == len(videos)
    eventually(lambda: database.outbox.count_documents({"key": gallery, "published_at": None}) == 0)
