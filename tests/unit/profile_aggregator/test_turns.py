"""Galleries take turns: none waits for another's backlog, and within one the oldest comes first."""

import pytest

from castlist.ports.errors import UnavailableError
from profile_aggregator.turns import Turns


class Backlogs:
    """So many batches wait in each gallery; which were taken, in order."""

    def __init__(self, **batches: int) -> None:
        self.left, self.taken = batches, ""
        self.turns = Turns(self.commit)
        for gallery in batches:
            self.turns.ring(gallery)

    async def commit(self, gallery: str) -> bool:
        if not self.left[gallery]:
            return False
        self.left[gallery] -= 1
        self.taken += gallery
        return True


async def test_a_busy_gallery_does_not_hold_up_the_others() -> None:
    """One batch each, round and round; who comes later is behind those that wait."""
    world = Backlogs(a=5, b=1, c=2)
    await world.turns.round()
    world.left["d"] = 1
    world.turns.ring("d")
    while await world.turns.round():
        pass
    assert world.taken == "abcacdaaa"


async def test_who_rings_during_a_commit_gets_another_turn() -> None:
    """What came meanwhile may not be in the batch."""
    seen: list[str] = []

    async def commit(gallery: str) -> bool:
        seen.append(gallery)
        if len(seen) == 1:
            turns.ring(gallery)
        return False

    turns = Turns(commit)
    turns.ring("a")
    while await turns.round():
        pass
    assert seen == ["a", "a"]


async def test_what_goes_wrong_about_one_gallery_is_no_reason_to_leave_the_others() -> None:
    """A mistake of ours waits for the next doorbell; an outage keeps the place of all who wait."""
    errors: dict[str, Exception] = {"a": RuntimeError("a mistake of ours"), "b": UnavailableError("away")}
    seen: list[str] = []

    async def commit(gallery: str) -> bool:
        if (error := errors.pop(gallery, None)) is not None:
            raise error
        seen.append(gallery)
        return False

    turns = Turns(commit)
    for gallery in "abc":
        turns.ring(gallery)
    with pytest.raises(UnavailableError):
        await turns.round()
    while await turns.round():
        pass
    assert seen == ["c", "b"]
