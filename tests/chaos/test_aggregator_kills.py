"""kill -9 of the aggregator before, inside and after its transaction: the same people, once."""

import os
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import RunningStack
from support.moments import (
    Moment,
    after_transaction,
    before_transaction,
    connect,
    freeze_at,
    inside_transaction,
)
from support.running import connected, done, eventually, shown
from support.synthetic import SyntheticVideo, expected_videos, submit

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.slow]


@pytest.fixture
def database(stack: RunningStack) -> Iterator[Any]:
    found = connect(stack.mongo_url)
    yield found
    found.client.close()


@pytest.mark.parametrize("moment", [before_transaction, inside_transaction, after_transaction])
async def test_a_killed_aggregator_commits_each_video_once(stack: RunningStack, database: Any, moment: Moment) -> None:
    """Frozen at the moment, killed there, started again by the supervisor: nothing is missing, nothing is twice."""
    gallery = f"kill-{uuid.uuid4().hex[:8]}"
    videos: list[SyntheticVideo] = []
    for attempt in range(40):
        video = SyntheticVideo(f"{gallery}-{attempt}", gallery, [[1, 2], [3 + attempt % 3]])
        videos.append(video)
        pid = stack.pid("profile-aggregator")
        async with connected(stack) as (documents, publisher):
            await submit(documents, publisher, video)
        if freeze_at(moment, database, video, pid):
            os.kill(pid, signal.SIGKILL)
            break
        eventually(lambda: done(database, gallery, len(videos)))
    else:
        pytest.fail(f"{moment.__name__} was never hit")
    late = SyntheticVideo(f"{gallery}-late", gallery, [[1], [2]])
    async with connected(stack) as (documents, publisher):
        await submit(documents, publisher, late)
    videos.append(late)
    stack.wait_restarted("profile-aggregator", pid, 90)
    eventually(lambda: done(database, gallery, len(videos)), 90)
    assert shown(database, gallery) == expected_videos(videos)
    assert database.ledger.count_documents({"_id": {"$regex": f"^{gallery}:"}}) == len(videos)
    eventually(lambda: database.outbox.count_documents({"key": gallery, "published_at": None}) == 0)
