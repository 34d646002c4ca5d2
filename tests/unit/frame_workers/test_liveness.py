"""Waiting for servers, and giving up on oneself."""

import asyncio

import pytest

from castlist.ports.errors import Unavailable
from frame_workers.pulse import EXIT_STUCK, Pulse, watchdog


class Exited(BaseException):
    """In place of the end of the process."""


@pytest.fixture(autouse=True)
def exits(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(status: int) -> None:
        assert status == EXIT_STUCK
        raise Exited

    monkeypatch.setattr("frame_workers.pulse.os._exit", leave)


async def exits_with(waiting: int | Exception, servers: Exception | None = None, in_hand: int = 0) -> bool:
    """Whether the watchdog ends the process within a moment in which nothing happens."""
    pulse = Pulse()
    pulse.in_hand = in_hand

    async def behind() -> int:
        if isinstance(waiting, Exception):
            raise waiting
        return waiting

    async def ping() -> None:
        if servers is not None:
            raise servers

    try:
        await asyncio.wait_for(watchdog(pulse, behind, ping, idle_limit=0.1, busy_limit=0.3, every=0.02), 0.6)
    except Exited:
        return True
    except TimeoutError:
        return False
    raise AssertionError("a watchdog watches for ever")


async def test_work_that_nobody_takes_ends_the_process() -> None:
    """Messages wait, the servers are there: we are the ones who are stuck, in hand or before."""
    assert await exits_with(3)
    assert await exits_with(0, in_hand=1)


async def test_a_consumer_that_cannot_tell_ends_the_process() -> None:
    """Kafka answers others, and not our consumer: that one will not heal."""
    assert await exits_with(Unavailable("fenced"))


async def test_servers_that_are_away_are_no_reason_to_exit() -> None:
    """A restart would not bring them back."""
    assert not await exits_with(3, Unavailable("Kafka is away"))
    assert not await exits_with(0, Unavailable("MongoDB is away"), in_hand=1)


async def test_nothing_to_do_is_no_reason_to_exit() -> None:
    """However long it lasts."""
    assert not await exits_with(0)


async def test_a_step_is_repeated_until_the_server_is_back() -> None:
    """And what it returns then is returned; each try is a sign of life."""
    pulse, tries = Pulse(), 0

    async def step() -> str:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise Unavailable("S3 is away")
        assert pulse.still_for() < 1
        return "done"

    assert await pulse.outlast(step) == "done"
    assert tries == 4


async def test_other_errors_are_not_waited_out() -> None:
    """They would not go away."""

    async def step() -> None:
        raise KeyError("a mistake")

    with pytest.raises(KeyError):
        await Pulse().outlast(step)
