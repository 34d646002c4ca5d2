"""The real supervisor over small processes: order, restarts, and that nothing is ever left."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testkit.eventually import eventually
from testkit.processes import runs
from testkit.source import ROOT

# `alpha` is a server, `beta` a service that wants it; each sleeps, and has a child that sleeps.
SCRIPT = """
import sys
from pathlib import Path
from deploy.errors import DeployError
from deploy.supervision.home import Home
from deploy.supervision.process import Spec
from deploy.supervision.stack import Stack
from deploy.supervision.supervisor import Supervisor

home = Path(sys.argv[1])
code = '''
import os, pathlib, subprocess, sys, time
name, folder, broken = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
if name == broken:
    sys.exit("the reason of " + name)
child = subprocess.Popen(["sleep", "120"])
with (folder / "order").open("a") as order:
    order.write(name + "\\\\n")
(folder / name).write_text(f"{os.getpid()} {child.pid}")
time.sleep(120)
'''
def spec(name):
    def ready():
        return (home / name).exists()
    def prepare():
        (home / name).unlink(missing_ok=True)
    return Spec(name, [sys.executable, "-c", code, name, str(home), sys.argv[2]], 1, "nowhere", ready, prepare=prepare)

stack = Stack(servers=[spec("alpha")], services=[spec("beta")], env={"GREETING": "it's me"})
try:
    Supervisor(stack, Home(home), lambda line: print(line, flush=True)).run()
except DeployError as error:
    sys.exit(f"deploy: {error}")
"""


class SupervisorProcess:
    """A supervisor process over `SCRIPT`."""

    def __init__(self, home: Path, broken: str = "") -> None:
        self.home = home
        self.log = home.parent / f"{home.name}.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(home), broken],
                cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def state(self) -> dict[str, Any]:
        path = self.home / "state.json"
        content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return content if (content.get("supervisor") or {}).get("pid") == self.popen.pid else {}

    def row(self, name: str) -> dict[str, Any]:
        return next(row for row in self.state()["processes"] if row["name"] == name)

    def wait_ready(self) -> None:
        eventually(lambda: self.state().get("stage") == "ready")

    def all_pids(self) -> list[int]:
        files = [self.home / name for name in ("alpha", "beta")]
        return [int(pid) for file in files if file.exists() for pid in file.read_text().split()]


def deploy(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy"), *words],
        capture_output=True, text=True, env={**os.environ, "CASTLIST_HOME": str(home)},
    )  # fmt: skip


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., SupervisorProcess]]:
    started: list[SupervisorProcess] = []

    def start(name: str = "home", broken: str = "") -> SupervisorProcess:
        started.append(SupervisorProcess(tmp_path / name, broken))
        return started[-1]

    yield start
    for running in started:
        running.popen.kill()
        running.popen.wait()
        # What the services themselves start is theirs to end; these sleepers do not.
        for pid in running.all_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_starts_in_order_and_stops_everything_on_sigterm(supervise: Callable[..., SupervisorProcess]) -> None:
    """The server before the service; at the end no process, no grandchild, and the state says stopped."""
    running = supervise()
    running.wait_ready()
    assert (running.home / "order").read_text() == "alpha\nbeta\n"
    assert (running.home / "env").read_text() == "export GREETING='it'\"'\"'s me'\n"
    pids = running.all_pids()
    running.popen.terminate()
    assert running.popen.wait(30) == 0
    assert not [pid for pid in pids if runs(pid)]
    assert running.state()["stage"] == "stopped"


def test_what_the_stack_writes_is_for_its_user_alone(supervise: Callable[..., SupervisorProcess]) -> None:
    """The home, and what its processes put there, whatever they think of modes."""
    supervisor = supervise()
    supervisor.wait_ready()
    paths = [supervisor.home, *supervisor.home.rglob("*")]
    assert len(paths) > 8
    assert [path.name for path in paths if path.stat().st_mode & 0o077] == []


def test_no_child_survives_a_killed_supervisor(supervise: Callable[..., SupervisorProcess]) -> None:
    """`kill -9` leaves it no time: the kernel ends its children; `status` sees that nothing runs, `up` works again."""
    running = supervise()
    running.wait_ready()
    children = [running.row(name)["identity"]["pid"] for name in ("alpha", "beta")]
    assert all(runs(pid) for pid in children)
    running.popen.kill()
    running.popen.wait()
    eventually(lambda: not any(runs(pid) for pid in children))
    status = deploy(running.home, "status", "--json")
    assert status.returncode == 3
    content = json.loads(status.stdout)
    assert content["stage"] == "died"
    assert {(row["name"], row["pid"], row["state"]) for row in content["processes"]} == {
        ("alpha", None, "stopped"),
        ("beta", None, "stopped"),
    }
    again = supervise()
    again.wait_ready()
    again.popen.terminate()
    assert again.popen.wait(30) == 0


def test_restarts_what_dies_and_says_so(supervise: Callable[..., SupervisorProcess]) -> None:
    """A killed process is back under a new pid, its restart is counted, the other one is left alone."""
    running = supervise()
    running.wait_ready()
    former, other = running.row("alpha")["identity"], running.row("beta")["identity"]
    os.kill(former["pid"], signal.SIGKILL)
    eventually(lambda: running.row("alpha")["restarts"] == 1 and running.row("alpha")["state"] == "ready")
    assert running.row("alpha")["identity"]["pid"] != former["pid"]
    assert running.row("beta")["identity"] == other
    assert "alpha was killed by SIGKILL; starting it again in 0.25 s" in running.log.read_text()


def test_the_delay_grows_while_it_keeps_dying(supervise: Callable[..., SupervisorProcess]) -> None:
    """Each death in a row doubles it."""
    running = supervise()
    running.wait_ready()
    for restarts in range(1, 4):
        os.kill(running.row("beta")["identity"]["pid"], signal.SIGKILL)
        eventually(lambda count=restarts: running.row("beta")["restarts"] == count and running.row("beta")["identity"])  # type: ignore[misc]
    said = running.log.read_text()
    assert [f"again in {delay} s" in said for delay in ("0.25", "0.5", "1")] == [True, True, True]


def test_one_home_has_one_supervisor(supervise: Callable[..., SupervisorProcess]) -> None:
    """The second one is refused in one line, and the first one goes on."""
    running = supervise()
    running.wait_ready()
    second = SupervisorProcess(running.home)
    assert second.popen.wait(30) == 1
    assert f"deploy: a stack is running in {running.home} already" in second.log.read_text()
    assert running.popen.poll() is None
    assert all(runs(pid) for pid in running.all_pids())


def test_one_that_never_starts_fails_the_stack_with_its_reason(supervise: Callable[..., SupervisorProcess]) -> None:
    """After three tries; what was up already is stopped."""
    running = supervise(broken="beta")
    eventually(lambda: (running.home / "alpha").exists())
    alpha = int((running.home / "alpha").read_text().split()[0])
    assert running.popen.wait(30) == 1
    assert "deploy: beta does not start: the reason of beta (log: " in running.log.read_text()
    assert not runs(alpha)
    assert running.state()["stage"] == "failed"


def test_down_waits_until_nothing_is_left(supervise: Callable[..., SupervisorProcess]) -> None:
    """And asked again it says that nothing runs, which is no error."""
    running = supervise()
    running.wait_ready()
    pids = [*running.all_pids(), running.popen.pid]
    # `down` can only see the supervisor go when its parent, which is us, collects it.
    down = subprocess.Popen(
        [sys.executable, str(ROOT / "deploy"), "down"], env={**os.environ, "CASTLIST_HOME": str(running.home)}
    )
    assert running.popen.wait(30) == 0
    assert down.wait(30) == 0
    assert not [pid for pid in pids if runs(pid)]
    again = deploy(running.home, "down")
    assert again.returncode == 0
    assert "nothing runs" in again.stdout


def test_down_never_signals_a_process_that_took_the_supervisors_id(tmp_path: Path) -> None:
    """The state names a pid that another process has by now: it is left alone."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        home = tmp_path / "home"
        home.mkdir()
        supervisor = {
            "pid": stranger.pid,
            "started": 1,
            "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        }
        rows = [
            {
                "name": "alpha",
                "state": "ready",
                "restarts": 0,
                "port": 1,
                "address": "x",
                "log": "",
                "identity": supervisor,
            }
        ]
        (home / "state.json").write_text(
            json.dumps({"stage": "ready", "error": None, "supervisor": supervisor, "processes": rows})
        )
        done = deploy(home, "down")
        assert done.returncode == 0
        assert "nothing runs" in done.stdout
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_two_homes_do_not_know_of_each_other(supervise: Callable[..., SupervisorProcess]) -> None:
    """Stopping the one leaves the other as it is."""
    first, second = supervise("first"), supervise("second")
    first.wait_ready()
    second.wait_ready()
    first.popen.terminate()
    assert first.popen.wait(30) == 0
    assert second.state()["stage"] == "ready"
    assert all(runs(pid) for pid in second.all_pids())
