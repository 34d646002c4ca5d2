"""One of several processes does what only one may do."""

import pytest

from castlist.store.records.alerts import LeaseRecord
from castlist.store.store import Store
from query_api.alerts.lease import TIME, Lease


class Clock:
    """Seconds, as told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_one_holds_it_and_another_does_not(store: Store, clock: Clock) -> None:
    """For as long as it renews it."""
    one, other = Lease(store, "w", "one", clock=clock), Lease(store, "w", "other", clock=clock)
    assert not one.held
    for _ in range(20):
        assert (await one.hold(), await other.hold()) == (True, False)
        assert (one.held, other.held) == (True, False)
        clock.now += 1


async def test_it_is_taken_over_from_who_gives_no_sign(store: Store, clock: Clock) -> None:
    """Only after the former holder has stopped to rely on it; who wakes up then has lost it."""
    one, other = Lease(store, "w", "one", clock=clock), Lease(store, "w", "other", clock=clock)
    await one.hold()
    await other.hold()
    began = clock.now
    while not await other.hold():
        clock.now += 0.5
    assert not one.held
    assert clock.now - began >= TIME
    assert not await one.hold()


async def test_it_is_given_back(store: Store, clock: Clock) -> None:
    """Another has it at once; what another holds is not given back."""
    one, other = Lease(store, "w", "one", clock=clock), Lease(store, "w", "other", clock=clock)
    await one.hold()
    await other.release()
    assert not await other.hold()
    await one.release()
    assert not one.held
    assert await other.hold()


async def test_of_two_who_take_it_over_one_gets_it(store: Store, clock: Clock) -> None:
    """Both have seen the holder stop."""
    await store.leases.insert(LeaseRecord(id="w", owner="gone", beat=3))
    leases = [Lease(store, "w", f"l{n}", clock=clock) for n in range(3)]
    for lease in leases:
        assert not await lease.hold()
    clock.now += TIME
    assert sorted([await lease.hold() for lease in leases]) == [False, False, True]
