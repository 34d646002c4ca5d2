"""A process that is stuck exits, to be started again."""

import asyncio

import pytest

from castlist.messaging.liveness import Liveness, watchdog
from castlist.ports.errors import UnavailableError
from castlist.service.exit_codes import ExitCode


class Exited(BaseException):
    """In place of the end of the process."""


@pytest.fixture(autouse=True)
def exits(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(status: int) -> None:
        assert status == ExitCode.STUCK
        raise Exited

    monkeypatch.setattr("castlist.messaging.liveness.os._exit", leave)


async def exits_with(waiting: int | Exception, servers: Exception | None = None, in_hand: int = 0) -> bool:
    """Whether the watchdog ends the process within a moment in which nothing happens."""
    liveness = Liveness()
    liveness.in_hand = in_hand

    async def behind() -> int:
        if isinstance(waiting, Exception):
            raise waiting
        return waiting

    async def ping() -> None:
        if servers is not None:
            raise servers

    try:
        await asyncio.wait_for(watchdog(liveness, behind, ping, idle_limit=0.1, busy_limit=0.3, every=0.02), 0.6)
    except Exited:
        return True
    except TimeoutError:
        return False
    raise AssertionError("a watchdog watches for ever")


async def test_work_that_waits_while_nothing_happens_ends_the_process() -> None:
    """The servers are there, so the process is what is stuck: with a message in hand, or before it took one."""
    assert await exits_with(3)
    assert await exits_with(0, in_hand=1)


async def test_a_consumer_that_cannot_tell_ends_the_process() -> None:
    """Kafka answers others, and not our consumer: that one will not heal."""
    assert await exits_with(UnavailableError("fenced"))


async def test_servers_that_are_away_are_no_reason_to_exit() -> None:
    """A restart would not bring them back."""
    assert not await exits_with(3, UnavailableError("Kafka is away"))
    assert not await exits_with(0, UnavailableError("MongoDB is away"), in_hand=1)


async def test_nothing_to_do_is_no_reason_to_exit() -> None:
    """However long it lasts."""
    assert not await exits_with(0)
