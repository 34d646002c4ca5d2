"""One supervised process: how it is started, when it is ready, how it is stopped, when it is tried again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.supervision.process_id import ProcessId

CHILD = Path(__file__).with_name("child.py")
KEPT_LOGS = 3
FIRST_DELAY, LONGEST_DELAY, STABLE_AFTER = 0.25, 15.0, 10.0


@dataclass(frozen=True)
class Spec:
    """What to run. `ready` is asked from the supervisor's loop: it takes less than a second and never raises.

    `env` is put over the supervisor's own; `prepare` runs before every start. `grace`: seconds from SIGTERM to SIGKILL.
    """

    name: str
    argv: list[str]
    port: int
    address: str
    ready: Callable[[], bool]
    env: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    grace: float = 8.0


def backoff(deaths: int) -> float:
    """Seconds to wait before the start after `deaths` deaths in a row."""
    return 0.0 if deaths == 0 else min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (deaths - 1))


class Process:
    """Runs a `Spec`, over and over. For one thread only: a child dies with the thread that made it."""

    def __init__(self, spec: Spec, logs: Path) -> None:
        self.spec = spec
        self.log = logs / f"{spec.name}.log"
        self.state = "waiting"
        self.restarts = 0
        self.deaths_in_a_row = 0
        self.identity: ProcessId | None = None
        self.started_at = 0.0
        self._popen: subprocess.Popen[bytes] | None = None
        self._again_at = 0.0
        rotate(self.log)

    def start(self) -> None:
        self.spec.prepare()
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), *self.spec.argv],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.spec.env},
                cwd=self.log.parent.parent,  # the home: a crash leaves its traces there
                start_new_session=True,  # the terminal's Ctrl-C is the supervisor's alone
            )  # fmt: skip
        self.identity = ProcessId.of(self._popen.pid)
        self.started_at = time.monotonic()
        self.state = "starting"

    def poll(self) -> str | None:
        """Collect a death, start again when it is time, notice readiness. Returns what there is to tell."""
        if self._popen is None:
            if self.state == "backoff" and time.monotonic() >= self._again_at:
                self.restarts += 1
                self.start()
            return None
        if self._exited():
            return self._died()
        if self.state == "starting" and self.spec.ready():
            self.state = "ready"
            return f"{self.spec.name} is ready at {self.spec.address} ({time.monotonic() - self.started_at:.1f} s)"
        if self.state == "ready" and time.monotonic() - self.started_at > STABLE_AFTER:
            self.deaths_in_a_row = 0
        return None

    def stop(self) -> None:
        """SIGTERM, the grace, SIGKILL; then whatever the process left in its group. Returns when it is gone."""
        self.state = "stopped"
        if self._popen is None:
            return
        self._popen.terminate()
        until = time.monotonic() + self.spec.grace
        while not self._exited() and time.monotonic() < until:
            time.sleep(0.02)
        self._collect()

    def _died(self) -> str:
        was_ready = self.state == "ready"
        code = self._collect()
        # Who was asked to stop and did so has no fault that waiting could mend.
        self.deaths_in_a_row = 1 if was_ready and code == 0 else self.deaths_in_a_row + 1
        delay = backoff(self.deaths_in_a_row)
        self._again_at = time.monotonic() + delay
        self.state = "backoff"
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        return f"{self.spec.name} {how}; starting it again in {delay:.2g} s (log: {self.log})"

    def _exited(self) -> bool:
        """True when it has ended. Not collected yet, its id (and its group's) cannot be anyone else's."""
        assert self._popen
        return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _collect(self) -> int:
        """Kill what is left of the process and its group, and take its exit status."""
        assert self._popen
        running, self._popen, self.identity = self._popen, None, None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.pid, signal.SIGKILL)
        running.kill()
        return running.wait()

    def last_words(self) -> str:
        """The last line of the log that says something."""
        try:
            lines = [line.strip() for line in self.log.read_text("utf-8", "replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        return lines[-1][:300] if lines else "it said nothing"


def rotate(log: Path) -> None:
    """Make room for a new `log`: the former ones are `.1` (newest) to `.3`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    for number in range(KEPT_LOGS, 0, -1):
        older = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
