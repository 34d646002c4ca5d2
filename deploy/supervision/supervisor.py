"""Start a stack in order, keep it running, stop it in reverse.

One thread does it all: a child is killed by the kernel when the thread that made it ends.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from deploy.errors import DeployError
from deploy.supervision.home import FOR_OTHERS, Home, write_atomically
from deploy.supervision.process import CHILD, Process, Spec, rotate
from deploy.supervision.process_id import ProcessId
from deploy.supervision.stack import Stack
from deploy.supervision.state import read_processes, write_state

TICK = 0.1
DEATHS_BEFORE_GIVING_UP = 3  # while starting; a stack that has been ready is kept up for ever
LONGEST_START = 120.0


class StopRequestedError(Exception):
    """We were asked to stop."""


class Supervisor:
    """Runs `stack` in `home` until `stop` is asked for, telling `say` what happens."""

    def __init__(self, stack: Stack, home: Home, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._home = home
        self._say = say
        self._processes: list[Process] = []
        self._stage = "starting"
        self._error: str | None = None
        self._written = ""
        self._signal: int | None = None

    def run(self) -> None:
        """Until SIGTERM, SIGINT or SIGHUP. Raises `DeployError` when the stack does not come up; nothing is left."""
        os.umask(FOR_OTHERS)  # for the servers and services too: what they store and log is nobody else's to read
        self._home.make()
        with self._home.lock(), self._signals():
            try:
                end_orphans(self._home)
                write_env(self._home, self._stack.env)
                self._bring_up()
                self._stage = "ready"
                self._write()
                self._say("ready")
                while True:
                    self._tick()
            except StopRequestedError:
                self._say("stopping …")
            except BaseException as error:
                self._error = str(error) if isinstance(error, DeployError) else f"{type(error).__name__}: {error}"
                raise
            finally:
                self._shut_down()

    def _bring_up(self) -> None:
        """Servers side by side, then what prepares them, then the services in their order, two at a time."""
        self._start(self._stack.servers)
        if self._stack.init:
            self._initialise(self._stack.init)
        for first in range(0, len(self._stack.services), 2):
            self._start(self._stack.services[first : first + 2])

    def _start(self, specs: list[Spec]) -> None:
        begun = [Process(spec, self._home.logs) for spec in specs]
        for process in begun:
            self._processes.append(process)
            process.start()
        until = time.monotonic() + LONGEST_START
        while waiting := [process for process in begun if process.state != "ready"]:
            self._tick()
            for process in waiting:
                if process.deaths_in_a_row >= DEATHS_BEFORE_GIVING_UP:
                    raise DeployError(
                        f"{process.spec.name} does not start: {process.last_words()} (log: {process.log})"
                    )
            if time.monotonic() > until:
                names = ", ".join(process.spec.name for process in waiting)
                raise DeployError(f"{names}: not ready after {LONGEST_START:.0f} s (logs: {self._home.logs})")

    def _initialise(self, argv: list[str]) -> None:
        log = self._home.logs / "init.log"
        rotate(log)
        with log.open("wb") as output:
            running = subprocess.Popen(
                [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), *argv],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **self._stack.env},
                start_new_session=True,
            )  # fmt: skip
        try:
            while running.poll() is None:
                self._tick()
        finally:
            running.kill()
            running.wait()
        if running.returncode:
            lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
            raise DeployError(
                f"topics, bucket and indexes cannot be made: {(lines or ['no reason'])[-1][:300]} (log: {log})"
            )
        self._say("topics, bucket and indexes are there")

    def _tick(self) -> None:
        if self._signal is not None:
            raise StopRequestedError
        for process in self._processes:
            if told := process.poll():
                self._say(told)
        self._write()
        time.sleep(TICK)

    def _shut_down(self) -> None:
        self._stage = "stopping"
        for process in reversed(self._processes):
            self._write()
            process.stop()
        self._stage = "failed" if self._error else "stopped"
        self._write()
        self._say("stopped")

    def _write(self) -> None:
        summary = repr([self._stage, [(p.state, p.restarts, p.identity) for p in self._processes]])
        if summary != self._written:
            write_state(self._home, self._stage, self._processes, self._stack.given, self._error)
            self._written = summary

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def note(number: int, _: object) -> None:
            self._signal = number

        former = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def end_orphans(home: Home) -> None:
    """After a supervisor that was killed: wait until the kernel has ended its children and their ports are free."""
    until = time.monotonic() + 5
    while left := [row for row in read_processes(home) if row["state"] == "orphaned"]:
        if time.monotonic() > until:
            for row in left:
                identity = ProcessId.of(row["pid"])
                if identity:
                    identity.send(signal.SIGKILL)
        time.sleep(0.05)


def write_env(home: Home, env: dict[str, str]) -> None:
    """`CASTLIST_HOME/env`: the stack's settings, for a shell to source. It holds the store's keys."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(env.items())]
    write_atomically(home.env, "\n".join(lines) + "\n")
