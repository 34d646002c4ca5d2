"""Commits that do not fit into one transaction: less is committed at once, and what never fits fails for its owner."""

from typing import Any

import pytest

from castlist.adapters.memory import MemoryDocuments
from castlist.clock import now_utc
from castlist.contract import commands
from castlist.contract.vectors import Vector
from castlist.ports.errors import TooLargeError, TooLongError, UnavailableError
from castlist.store.store import Store
from castlist_identity.galleries import reclustering
from profile_aggregator.commits import commit_planner
from profile_aggregator.turns import Turns
from unit.profile_aggregator.test_committing import GALLERY, STEP, World, at, crowd


class SmallDocuments(MemoryDocuments):
    """A store whose transactions take so many documents of persons at most."""

    def __init__(self, most: int, error: type[TooLargeError]) -> None:
        super().__init__()
        self.most, self.error, self.largest, self.refused = most, error, 0, 0

    async def transaction(self, body: Any) -> Any:
        async def counted(view: Any) -> Any:
            update_each, update_many, written = view.update_each, view.update_many, 0

            async def each(collection: str, changes: Any) -> None:
                nonlocal written
                written += len(changes) if collection == "persons" else 0
                if written > self.most:
                    self.refused += 1
                    raise self.error(f"{written} persons")
                await update_each(collection, changes)

            async def many(collection: str, where: Any, change: Any) -> int:
                nonlocal written
                changed = int(await update_many(collection, where, change))
                written += changed if collection == "persons" else 0
                if written > self.most:
                    self.refused += 1
                    raise self.error(f"{written} persons")
                return changed

            view.update_each, view.update_many = each, many
            result = await body(view)
            self.largest = max(self.largest, written)
            return result

        return await super().transaction(counted)


def small_world(most: int, error: type[TooLargeError] = TooLargeError) -> tuple[World, SmallDocuments]:
    """An aggregator on such a store."""
    world, documents = World(), SmallDocuments(most, error)
    world.store = Store(documents)
    world.start()
    return world, documents


async def rounds(world: World, most: int = 100) -> None:
    """Turns until nothing waits; an outage is waited out, as the process would."""
    turns = Turns(world.committer.commit)
    turns.ring(GALLERY)
    for _ in range(most):
        try:
            if not await turns.round():
                return
        except UnavailableError:
            continue
    raise AssertionError("it goes on for ever")


@pytest.mark.parametrize("error", [TooLargeError, TooLongError])
async def test_a_batch_that_does_not_fit_is_halved(error: type[TooLargeError]) -> None:
    """Until it does; every video of it is done, and what follows begins with the size that fitted."""
    world, documents = small_world(3, error)
    for i in range(20):
        await world.found(f"v{i:02}", at(float(3 * i)))
    await rounds(world)
    assert {task.status for task in await world.store.tasks.find()} == {"done"}
    assert len(await world.clusters()) == 20
    assert documents.refused < 10


@pytest.mark.parametrize("error", [TooLargeError, TooLongError])
async def test_a_video_that_never_fits_fails_alone(error: type[TooLargeError]) -> None:
    """Its task says that it is too large; the others of its batch, and what comes later, are done."""
    world, _ = small_world(3, error)
    await world.found("a", at(0.0))
    await world.found("crowd", *(at(3.0 * i) for i in range(1, 6)))
    await world.found("z", at(30.0))
    await rounds(world)
    await world.found("later", at(33.0))
    await rounds(world)
    ended = {task.video_id: (task.status, task.error and task.error.code) for task in await world.store.tasks.find()}
    assert ended.pop("crowd") == ("failed", "limits_exceeded")
    assert set(ended.values()) == {("done", None)}
    assert await world.pending() == 0


async def test_what_took_too_long_while_mongodb_was_slow_is_committed_once_it_is_not() -> None:
    """Twice too long for one video alone says nothing about the video."""
    world, documents = small_world(0, TooLongError)
    await world.found("a", at(0.0))
    turns = Turns(world.committer.commit)
    turns.ring(GALLERY)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await turns.round()
    documents.most = 10
    await rounds(world)
    assert [task.status for task in await world.store.tasks.find()] == ["done"]


async def test_a_command_that_never_fits_fails_for_who_gave_it() -> None:
    """And the gallery goes on."""
    world, documents = small_world(10)
    for i in range(4):
        await world.found(f"v{i}", at(0.1 * i))
    await rounds(world)
    documents.most = 3
    (profile,) = await world.store.profiles.ids()
    await world.committer.stage(
        commands.RenameProfile(event_id="r", occurred_at=now_utc(), gallery=GALLERY, profile_id=profile, name="Ada")
    )
    await world.found("other", at(9.0))
    await rounds(world)
    outcome = await world.store.changes.get("r")
    assert outcome is not None
    assert (outcome.status, outcome.error and outcome.error.code) == ("failed", "limits_exceeded")
    assert {task.status for task in await world.store.tasks.find()} == {"done"}


async def test_a_video_that_moves_very_many_moves_them_in_several_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is done at once, without them; what it asks of the others is worked off, and the result is the same."""
    world, documents = small_world(1_000)
    means = crowd(6, 8)
    for i, mean in enumerate(means[:-1]):
        await world.commit(f"v{i:02}", mean)
    await world.choose(0.36)
    await world.settle()
    monkeypatch.setattr(commit_planner, "MOST_CHANGES", 8)
    monkeypatch.setattr(reclustering, "MOVES", 4)
    monkeypatch.setattr(reclustering, "BOUND", 5)
    monkeypatch.setattr(reclustering, "BATCH", 4)
    documents.largest = 0
    await world.choose(0.55)
    await world.commit("last", means[-1])
    await world.settle()
    assert await world.clusters() == await world.canonical(0.55, 1)
    assert documents.largest <= 10
    await world.choose(0.33)
    await world.settle()
    assert await world.clusters() == await world.canonical(0.33, 1)
    assert documents.largest <= 10


async def test_what_is_put_off_reaches_those_who_are_no_neighbours_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten come around two who had nobody near, and near to neither: they part all the same, once all is settled."""

    def around(count: int, radius: float) -> list[Vector]:
        means = [at(0.245) for _ in range(count)]
        for i, mean in enumerate(means):
            mean[20 + i] = radius
        return means

    world, _ = small_world(1_000)
    await world.commit("far", *around(70, 3.0))
    await world.commit("a", at(0.0))
    await world.commit("b", at(0.49))
    pair = ("a:1:0", "b:1:0")
    assert pair in await world.clusters()
    monkeypatch.setattr(commit_planner, "MOST_CHANGES", 1)
    await world.commit("kind", *around(10, 0.49))
    assert pair in await world.clusters()
    await world.settle()
    assert await world.clusters() == await world.canonical(STEP)
    assert pair not in await world.clusters()


async def test_a_reclustering_that_does_not_fit_goes_in_smaller_batches() -> None:
    """However small they have to be; the gallery settles all the same."""
    world, documents = small_world(1_000, TooLongError)
    for i, mean in enumerate(crowd(6, 6)):
        await world.commit(f"v{i:02}", mean)
    documents.most = 6
    for up_to in (0.33, 0.55):
        await world.choose(up_to)
        await world.settle()
        assert await world.clusters() == await world.canonical(up_to, 1)
    assert documents.refused > 0
