"""Steps that do not wait, neither between tries nor between two looks at how far a video is."""

import itertools

import pytest


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows, follows at once."""
    monkeypatch.setattr("castlist.retry.pauses", lambda: itertools.repeat(0.0))
    monkeypatch.setattr("profile_aggregator.videos.handlers._PROGRESS_EVERY", 0.0)
