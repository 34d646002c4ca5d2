"""Handlers that do not wait between tries."""

import itertools

import pytest


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry follows at once."""
    monkeypatch.setattr("castlist.retry.pauses", lambda: itertools.repeat(0.0))
