"""kill -9 of the aggregator before, inside and after its transaction: the same people, once."""

import asyncio
import os
import signal

import httpx2
import pytest

from castlist.contract import ids
from testkit.api import new_gallery
from testkit.commit_moments import (
    Moment,
    after_transaction,
    before_transaction,
    freeze_at,
    inside_transaction,
)
from testkit.database import Database, all_published, are_done, videos_of_profiles
from testkit.eventually import eventually
from testkit.running_stack import RunningStack, connected
from testkit.synthetic import SyntheticVideo, expected_videos, submit

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.slow]


def crowd(attempt: int) -> list[list[int]]:
    """Two chunks of twenty people who are in no other video: their commit takes long enough to be caught inside its
    transaction."""
    first = 1000 + 40 * attempt
    return [list(range(first, first + 20)), list(range(first + 20, first + 40))]


@pytest.mark.parametrize("moment", [before_transaction, inside_transaction, after_transaction])
async def test_a_killed_aggregator_commits_each_video_once(
    stack: RunningStack, database: Database, moment: Moment
) -> None:
    """Frozen at the moment, killed there, started again by the supervisor: nothing is missing, nothing is twice."""
    gallery = new_gallery("kill")
    videos: list[SyntheticVideo] = []
    for attempt in range(40):
        video = SyntheticVideo(f"{gallery}-{attempt}", gallery, [[1, 2], [3 + attempt % 3], *crowd(attempt)])
        videos.append(video)
        pid = stack.pid("profile-aggregator")
        async with connected(stack) as (store, publisher):
            await submit(store, publisher, video)
        if freeze_at(moment, database, video, pid):
            os.kill(pid, signal.SIGKILL)
            break
        eventually(lambda: are_done(database, gallery, len(videos)))
    else:
        pytest.fail(f"{moment.__name__} was never hit")
    late = SyntheticVideo(f"{gallery}-late", gallery, [[1], [2]])
    async with connected(stack) as (store, publisher):
        await submit(store, publisher, late)
    videos.append(late)
    stack.wait_restarted("profile-aggregator", pid, 90)
    eventually(lambda: are_done(database, gallery, len(videos)), 90)
    assert videos_of_profiles(database, gallery) == expected_videos(videos)
    assert database.ledger.count_documents({"_id": {"$regex": f"^{gallery}:"}}) == len(videos)
    eventually(lambda: all_published(database, gallery))


@pytest.mark.parametrize("moment", [before_transaction, inside_transaction, after_transaction])
async def test_a_cancel_while_the_commit_runs_wins_or_loses_whole(
    stack: RunningStack, database: Database, moment: Moment
) -> None:
    """The commit is frozen at the moment, the cancel comes over HTTP, the commit goes on.

    Before the transaction the cancel wins, and nothing of the task reaches a profile; after it, the task is done and
    says so. Inside, MongoDB ends the frozen transaction and the cancel wins, unless its commit was on its way already.
    """
    gallery = new_gallery("cancel")
    finished = 0
    for attempt in range(40):
        video = SyntheticVideo(f"{gallery}-{attempt}", gallery, crowd(attempt))
        pid = stack.pid("profile-aggregator")
        async with connected(stack) as (store, publisher):
            await submit(store, publisher, video)
        if freeze_at(moment, database, video, pid):
            break
        finished += 1
        eventually(lambda: are_done(database, gallery, finished))  # noqa: B023
    else:
        pytest.fail(f"{moment.__name__} was never hit")
    task = ids.task_id(video.video_id, video.epoch)
    try:
        url = f"{stack.ingest_url}/tasks/{task}/cancel"
        answer = await asyncio.to_thread(httpx2.post, url, timeout=60)
    finally:
        os.kill(pid, signal.SIGCONT)
    late = SyntheticVideo(f"{gallery}-late", gallery, [[9001]])
    async with connected(stack) as (store, publisher):
        await submit(store, publisher, late)
    won = answer.status_code == 202
    assert won or answer.status_code == 409, answer.text
    assert won or moment is not before_transaction
    assert not won or moment is not after_transaction
    eventually(lambda: are_done(database, gallery, finished + (1 if won else 2)))
    assert database.tasks.find_one({"_id": task})["status"] == ("cancelled" if won else "done")
    assert database.appearances.count_documents({"video_id": video.video_id}) == (0 if won else 40)
    assert database.persons.count_documents({"video_id": video.video_id}) == (0 if won else 40)
