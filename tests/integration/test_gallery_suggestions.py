"""Suggestions: found once a gallery is settled, gone when they are true no longer."""

from typing import Any

import numpy as np
import pytest

from testkit import synthetic
from testkit.api import new_gallery
from testkit.database import Database, are_done, videos_of_profiles
from testkit.eventually import eventually
from testkit.running_stack import RunningStack, connected
from testkit.synthetic import SyntheticVideo, submit

pytestmark = [pytest.mark.stack, pytest.mark.services]


def between(person: int, view: int) -> Any:
    """People 0 and 1 are 0.56 apart, further than a gallery joins and nearer than strangers; 2 stands between them."""
    place = {0: (0.0, 0.0), 1: (0.56, 0.0), 2: (0.28, 0.0)}[person]
    vector = np.zeros(128, dtype=np.float32)
    vector[:2] = place
    vector[2 + view % 100] = 0.01
    return vector


async def test_a_suggestion_comes_and_goes(
    stack: RunningStack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who are nearer than strangers come, but not one; with somebody between them they are, and it is withdrawn."""
    monkeypatch.setattr(synthetic, "face_of", between)
    gallery = new_gallery("suggest")
    async with connected(stack) as (store, publisher):
        for i in range(2):
            await submit(store, publisher, SyntheticVideo(f"{gallery}-{i}", gallery, [[i]]))
        eventually(lambda: are_done(database, gallery, 2))
        assert len(videos_of_profiles(database, gallery)) == 2
        found = eventually(lambda: database.suggestions.find_one({"gallery": gallery}))
        profiles = [profile["_id"] for profile in database.profiles.find({"gallery": gallery})]
        assert found["profiles"] == sorted(profiles)
        assert found["distance"] == pytest.approx(0.56, abs=0.01)
        await submit(store, publisher, SyntheticVideo(f"{gallery}-2", gallery, [[2]]))
        eventually(lambda: are_done(database, gallery, 3))
        eventually(lambda: not database.suggestions.find_one({"gallery": gallery}))
    assert database.profiles.count_documents({"gallery": gallery}) == 1
