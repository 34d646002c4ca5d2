"""A process that is stuck exits, to be started again."""

from collections.abc import Mapping

import pytest

from castlist.adapters.memory import MemoryLog
from castlist.contract.topics import GALLERY_COMMITS, VIDEO_CONTROL, Topic
from castlist.messaging.liveness import Liveness, Watchdog
from castlist.ports.errors import UnavailableError
from castlist.ports.messages import Partition, ReadPosition
from castlist.service.exit_codes import ExitCode
from castlist.service.metrics import LAG

COMMITS, CONTROL = (GALLERY_COMMITS.name, 0), (VIDEO_CONTROL.name, 0)
GROUPS = {GALLERY_COMMITS.name: "a-group"}
IDLE, BUSY, STEP = 30.0, 60.0, 5.0


class Exited(BaseException):
    """In place of the end of the process."""


@pytest.fixture(autouse=True)
def exits(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(status: int) -> None:
        assert status == ExitCode.STUCK
        raise Exited

    monkeypatch.setattr("castlist.messaging.liveness.os._exit", leave)


class Process:
    """A process with its watchdog, before a log with `messages` in two partitions."""

    def __init__(self, messages: int = 3) -> None:
        self.log = MemoryLog([single(GALLERY_COMMITS), single(VIDEO_CONTROL)])
        self.write(messages)
        self.liveness = Liveness()
        self.stands: dict[Partition, ReadPosition] = {COMMITS: ReadPosition(messages), CONTROL: ReadPosition(messages)}
        self.cannot_tell = False
        self.away: Exception | None = None
        self.watchdog = Watchdog(
            self.liveness, self._positions, self.log, self._servers, groups=GROUPS, idle_limit=IDLE, busy_limit=BUSY
        )

    def write(self, messages: int) -> None:
        """Into both."""
        for topic, _ in (COMMITS, CONTROL):
            for _ in range(messages):
                self.log.append(topic, b"key", b"value", ())

    async def _positions(self) -> Mapping[Partition, ReadPosition]:
        if self.cannot_tell:
            raise UnavailableError("fenced")
        return self.stands

    async def _servers(self) -> None:
        if self.away is not None:
            raise self.away

    async def lives(self, seconds: float = 300) -> bool:
        """Whether it is still there after that time, in which nothing else happens."""
        try:
            for _ in range(int(seconds / STEP)):
                await self.watchdog.look(STEP)
        except Exited:
            return False
        return True


def single(topic: Topic) -> Topic:
    """With one partition."""
    return Topic(**{**vars(topic), "partitions": 1})


async def test_nothing_to_do_is_no_reason_to_exit() -> None:
    """However long it lasts."""
    assert await Process().lives()
    assert await Process(0).lives()


async def test_messages_that_are_not_taken_end_the_process() -> None:
    """The servers are there, so the process is what is stuck."""
    process = Process()
    process.stands[COMMITS] = ReadPosition(1)
    assert not await process.lives()


async def test_one_partition_that_does_not_move_ends_a_process_that_works_on_others() -> None:
    """That something happens does not mean that everything is heard."""
    process = Process()
    process.stands[COMMITS] = ReadPosition(1)
    for offset in range(3, 12):
        process.write(1)
        process.stands[CONTROL] = ReadPosition(offset)
        with process.liveness.at_work(VIDEO_CONTROL.name):
            if not await process.lives(STEP):
                return
    pytest.fail("it is deaf to a partition, and lives")


async def test_a_partition_that_moves_is_heard_however_much_is_behind() -> None:
    """A long queue is no fault."""
    process = Process(1000)
    for offset in range(100):
        process.stands[COMMITS] = ReadPosition(offset)
        assert await process.lives(IDLE / 2)


async def test_a_message_in_hand_may_take_its_time() -> None:
    """Not for ever: no job takes longer than the busy limit."""
    process = Process()
    process.stands[COMMITS] = ReadPosition(1, in_hand=True)
    with process.liveness.at_work(GALLERY_COMMITS.name):
        assert await process.lives()
        process.liveness._last -= BUSY + 1
        assert not await process.lives(STEP)


async def test_a_message_that_is_held_back_and_in_nobodys_hand_ends_the_process() -> None:
    """Taken, and forgotten: nothing is at work."""
    process = Process()
    process.stands[COMMITS] = ReadPosition(1, in_hand=True)
    assert not await process.lives()


async def test_a_reader_whose_log_is_gone_ends_the_process() -> None:
    """Its position lies behind the end of the log that Kafka has now, in which messages wait from the first on."""
    process = Process()
    process.stands[COMMITS] = ReadPosition(80)
    assert not await process.lives()
    empty = Process(0)
    empty.stands[COMMITS] = ReadPosition(80)
    assert await empty.lives(), "nothing waits there"


async def test_a_reader_that_does_not_know_where_it_stands_ends_the_process() -> None:
    """Messages wait, and it has not even begun."""
    process = Process()
    process.stands[COMMITS] = ReadPosition(None)
    assert not await process.lives()


async def test_what_is_no_message_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks of others' transactions take up offsets and are never handed out; a message behind them counts again."""
    process = Process()
    process.stands[COMMITS] = ReadPosition(1)
    monkeypatch.setattr(process.log, "at", lambda *_: None)
    assert await process.lives()
    monkeypatch.undo()
    monkeypatch.setattr("castlist.messaging.liveness.os._exit", lambda _: (_ for _ in ()).throw(Exited))
    assert await process.lives(), "the same marks are looked at once"
    process.write(1)
    assert not await process.lives()


async def test_a_consumer_that_cannot_tell_ends_the_process() -> None:
    """Kafka answers others, and not our consumer: that one will not heal."""
    process = Process()
    process.cannot_tell = True
    assert not await process.lives()


@pytest.mark.parametrize("cannot_tell", [False, True])
async def test_servers_that_are_away_are_no_reason_to_exit(cannot_tell: bool) -> None:
    """A restart would not bring them back. When they are, everybody has the whole time again."""
    process = Process()
    process.stands[COMMITS] = ReadPosition(1)
    process.cannot_tell, process.away = cannot_tell, UnavailableError("MongoDB is away")
    assert await process.lives()
    process.away = None
    assert await process.lives(IDLE / 2)
    assert not await process.lives()


async def test_readiness_tells_what_is_not_heard() -> None:
    """Well before the process is ended for it."""
    process = Process()
    await process.watchdog.check()
    process.stands[COMMITS] = ReadPosition(1)
    assert await process.lives(IDLE / 2)
    with pytest.raises(UnavailableError, match=r"gallery\.commits:0 .* 1 "):
        await process.watchdog.check()
    process.stands[COMMITS] = ReadPosition(3)
    assert await process.lives(STEP)
    await process.watchdog.check()


async def test_a_position_that_retention_has_passed_waits_for_nobody() -> None:
    """What nobody read in time and is gone is not behind anybody."""
    process = Process()

    async def bounds(partitions: object) -> Mapping[Partition, tuple[int, int]]:
        return {COMMITS: (3, 3), CONTROL: (3, 3)}

    process.log.bounds = bounds  # type: ignore[method-assign]
    process.stands[COMMITS] = ReadPosition(None)
    assert await process.lives()


async def test_how_far_behind_it_is_is_shown_for_what_it_reads_in_a_group() -> None:
    """By topic and group, over its partitions; a partition that has moved to another process is not counted here."""
    process = Process(9)
    process.stands[COMMITS] = ReadPosition(4)
    await process.watchdog.look(STEP)
    assert shown() == {(GALLERY_COMMITS.name, "a-group"): 5}
    process.stands[COMMITS] = ReadPosition(80)  # of a log that is gone: all of this one is to be read
    await process.watchdog.look(STEP)
    assert shown() == {(GALLERY_COMMITS.name, "a-group"): 9}
    del process.stands[COMMITS]
    await process.watchdog.look(STEP)
    assert shown() == {}


def shown() -> dict[tuple[str, str], float]:
    """What `/metrics` says of the lag."""
    return {(one.labels["topic"], one.labels["group"]): one.value for family in LAG.collect() for one in family.samples}
