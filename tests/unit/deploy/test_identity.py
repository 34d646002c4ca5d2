"""A process is known by its id and its start, never by its id alone."""

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from deploy.supervision.process_id import ProcessId


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    running = subprocess.Popen(["sleep", "60"])
    yield running
    running.kill()
    running.wait()


def test_a_running_process_is_alive_until_it_ends(sleeper: "subprocess.Popen[bytes]") -> None:
    """Also before anyone has collected it: a corpse is not alive."""
    identity = ProcessId.of(sleeper.pid)
    assert identity is not None
    assert identity.alive
    sleeper.kill()
    while ProcessId.of(sleeper.pid) is not None:
        pass
    assert not identity.alive


@pytest.mark.parametrize("other", [{"started": 1}, {"boot": "another boot"}])
def test_a_recycled_id_is_never_signalled(sleeper: "subprocess.Popen[bytes]", other: dict[str, object]) -> None:
    """The id is somebody else's now (another start, another boot): no signal is sent, and we are told so."""
    identity = ProcessId.of(sleeper.pid)
    assert identity is not None
    former = replace(identity, **other)  # type: ignore[arg-type]
    assert not former.alive
    assert former.send(signal.SIGKILL) is False
    assert sleeper.poll() is None
    assert identity.send(signal.SIGKILL) is True
    assert sleeper.wait() == -signal.SIGKILL


def test_it_survives_a_round_through_json(sleeper: "subprocess.Popen[bytes]") -> None:
    """What is read back from the state file is the same process; anything malformed is nobody."""
    identity = ProcessId.of(sleeper.pid)
    assert identity is not None
    assert ProcessId.from_json(identity.to_json()) == identity
    assert ProcessId.from_json({"pid": 1}) is None
    assert ProcessId.from_json(None) is None
