"""Kafka loses its data again and again, on a stack whose groups have read for a while."""

import asyncio

import pytest

from testkit.api import new_gallery
from testkit.database import Database, are_done
from testkit.eventually import eventually
from testkit.lost_kafka import lose_kafka
from testkit.running_stack import RunningStack, connected
from testkit.synthetic import SyntheticVideo, submit

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.slow]
HISTORY = 60
ROUNDS = 5


async def commit_videos(stack: RunningStack, gallery: str, count: int) -> None:
    """So many videos whose results are published, as workers would."""
    async with connected(stack) as (store, publisher):
        for number in range(count):
            await submit(store, publisher, SyntheticVideo(f"{gallery}-{number}", gallery, [[number % 7, 7], [8]]))


@pytest.mark.timeout(900)
def test_whoever_has_read_a_lost_log_hears_the_new_one(stack: RunningStack, database: Database) -> None:
    """Acknowledgements are on their way when it is lost: accepted in the new log, they would be far ahead of its end.

    What is published afterwards is heard by the aggregator, which exits once for it, and is not deaf for a while first.
    """
    for _ in range(ROUNDS):
        history, unfinished, after = (new_gallery(name) for name in ("history", "unfinished", "after"))
        asyncio.run(commit_videos(stack, history, HISTORY))
        eventually(lambda: are_done(database, history, HISTORY), 120)  # noqa: B023
        asyncio.run(commit_videos(stack, unfinished, 15))
        aggregator = stack.pid("profile-aggregator")
        lose_kafka(stack)
        restarted = stack.wait_restarted("profile-aggregator", aggregator, 120)
        asyncio.run(commit_videos(stack, after, 3))
        eventually(lambda: are_done(database, after, 3), 60)  # noqa: B023
        assert stack.pid("profile-aggregator") == restarted
