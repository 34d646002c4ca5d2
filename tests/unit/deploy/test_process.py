"""One supervised process: its backoff, its logs, and that nothing of it is left."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.supervision.process import FIRST_DELAY, LONGEST_DELAY, Process, Spec, backoff, rotate


def make_spec(code: str, ready: Callable[[], bool] = lambda: True, grace: float = 5.0) -> Spec:
    return Spec("thing", [sys.executable, "-c", code], 1, "nowhere", ready, grace=grace)


def poll_until(process: Process, state: str) -> list[str]:
    said = []
    until = time.monotonic() + 20
    while process.state != state:
        assert time.monotonic() < until, f"{process.state}, not {state}"
        if line := process.poll():
            said.append(line)
        time.sleep(0.01)
    return said


def test_the_delay_doubles_up_to_a_limit() -> None:
    """The first death is answered at once, a crash loop with patience."""
    delays = [backoff(deaths) for deaths in range(1, 12)]
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY


def test_what_dies_is_started_again_and_it_says_so(tmp_path: Path) -> None:
    """With the exit code, the delay and the log's place; each start counts."""
    process = Process(make_spec("raise SystemExit(7)", ready=lambda: False), tmp_path)
    process.start()
    said = poll_until(process, "backoff")
    assert said == [f"thing exited with 7; starting it again in 0.25 s (log: {tmp_path}/thing.log)"]
    poll_until(process, "starting")
    assert process.restarts == 1
    said = poll_until(process, "backoff")
    assert "again in 0.5 s" in said[0]
    process.stop()


def test_one_that_was_asked_to_stop_is_back_at_once(tmp_path: Path) -> None:
    """However often: a SIGTERM obeyed is no crash loop."""
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0));"
        "print('up', flush=True); time.sleep(60)"
    )
    log = tmp_path / "thing.log"
    process = Process(make_spec(code, ready=lambda: log.read_text().count("up") > process.restarts), tmp_path)
    process.start()
    for _ in range(3):
        poll_until(process, "ready")
        assert process.identity is not None
        process.identity.send(signal.SIGTERM)
        said = poll_until(process, "backoff")
        assert "exited with 0; starting it again in 0.25 s" in said[0]
    process.stop()


def test_stopping_takes_the_whole_group_along(tmp_path: Path) -> None:
    """A grandchild that would outlive its parent is ended too."""
    code = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '60']);"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    pid = tmp_path / "pid"
    process = Process(make_spec(code, ready=lambda: pid.exists() and pid.read_text() != ""), tmp_path)
    process.start()
    poll_until(process, "ready")
    process.stop()
    until = time.monotonic() + 10
    while _runs(int(pid.read_text())):
        assert time.monotonic() < until
    assert process.identity is None


def test_one_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    """`stop` returns, and the process is gone."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    log = tmp_path / "thing.log"
    process = Process(make_spec(code, ready=lambda: "deaf" in log.read_text(), grace=0.2), tmp_path)
    process.start()
    poll_until(process, "ready")
    assert process.identity is not None
    identity = process.identity
    process.stop()
    assert not identity.alive


def test_signals_ignored_here_are_not_ignored_there(tmp_path: Path) -> None:
    """A stack that a shell starts in its background has children that obey SIGINT all the same."""
    code = (
        "import re; print(re.search(r'SigIgn:\\s*(\\w+)', open('/proc/self/status').read())[1], flush=True);"
        "import time; time.sleep(60)"
    )
    log = tmp_path / "thing.log"
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = Process(make_spec(code, ready=lambda: log.read_text().endswith("\n")), tmp_path)
        process.start()
        poll_until(process, "ready")
    finally:
        signal.signal(signal.SIGINT, former)
    process.stop()
    # Python itself, which runs here, ignores SIGPIPE (and SIGXFSZ) on its own account.
    assert not int(log.read_text(), 16) & (1 << (signal.SIGINT - 1))


def test_a_command_that_does_not_exist_leaves_its_reason(tmp_path: Path) -> None:
    """In the log, and so in the error of a stack that does not start."""
    process = Process(Spec("thing", ["/no/such/program"], 1, "nowhere", lambda: True), tmp_path)
    process.start()
    until = time.monotonic() + 10
    while process.deaths_in_a_row == 0:
        process.poll()
        assert time.monotonic() < until
    assert process.last_words() == "child: /no/such/program: No such file or directory"
    process.stop()


def test_logs_of_former_runs_are_kept_three_deep(tmp_path: Path) -> None:
    """The newest former one is `.1`."""
    log = tmp_path / "thing.log"
    for run in range(6):
        rotate(log)
        log.write_text(str(run))
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["5", "4", "3", "2"]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(autouse=True)
def _no_children_left() -> object:
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
