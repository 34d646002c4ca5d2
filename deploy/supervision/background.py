"""A stack behind this process: left to itself, or bound to us so that it ends when we do, however we end."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from deploy.config import PORTS, ROOT, Config, read_dotenv
from deploy.errors import DeployError
from deploy.supervision.home import Home
from deploy.supervision.ports import free_port
from deploy.supervision.process import CHILD
from deploy.supervision.process_id import ProcessId
from deploy.supervision.state import stage_of, supervisor_of

STOP_PATIENCE = 100.0


def launch(config: Config, home: Home, arguments: list[str], left: bool = False) -> "subprocess.Popen[bytes]":
    """Start `up` with `arguments` for `home` as a process of its own and wait until its stack is ready.

    What it says is shown. It ends when we do, unless it is `left` to itself. Raises `DeployError` with its last words.
    """
    home.make()
    log = home.logs / "supervisor.log"
    offset = log.stat().st_size if log.exists() else 0
    words = [sys.executable, str(ROOT / "deploy"), "up", *arguments]
    words = words if left else bound(words)
    env = {
        **os.environ,
        "CASTLIST_HOME": str(config.home),
        "CASTLIST_CACHE": str(config.cache),
        **{name: str(port) for name, port in config.ports.items()},
    }
    log.touch(0o600)
    with log.open("ab") as output:
        running = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=ROOT, env=env
        )
    error = f"the supervisor ended without a reason (log: {log})"
    try:
        while True:
            gone = running.poll() is not None
            ready = not gone and supervisor_of(home) == ProcessId.of(running.pid) and stage_of(home)[0] == "ready"
            said, offset = _read(log, offset)
            for line in said.splitlines():
                if line.startswith("deploy: "):
                    error = line.removeprefix("deploy: ")
                else:
                    print(line, flush=True)
            if gone:
                raise DeployError(error)
            if ready:
                return running
            time.sleep(0.05)
    except BaseException:
        stop(running)
        raise


def stop(running: "subprocess.Popen[bytes]") -> None:
    """End a launched supervisor, and with it its processes."""
    running.terminate()
    try:
        running.wait(STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()


@contextlib.contextmanager
def temporary_stack(config: Config, name: str) -> Iterator[Config]:
    """A fresh stack in a home of its own on free ports; yields its settings.

    At the end it is stopped and its home removed, except that the logs stay, and are pointed to, when the block raised
    anything but a Ctrl-C.
    """
    ports: dict[str, int] = {}
    for setting in PORTS:
        ports[setting] = free_port(set(ports.values()))
    folder = Path(tempfile.mkdtemp(prefix=f"castlist-{name}-"))
    own = replace(config, home=folder, ports=ports)
    home = Home(folder)
    try:
        running = launch(own, home, [])
        try:
            yield own
        finally:
            stop(running)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(home.data, ignore_errors=True)
        print(f"deploy: the logs are in {home.logs}", file=sys.stderr)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def bound(words: list[str]) -> list[str]:
    """`words` as a command that the kernel ends when we die."""
    return [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), *words]


def settings_of(config: Config) -> dict[str, str]:
    """What leads to the stack of `config`, as its supervisor wrote it."""
    return read_dotenv(Home(config.home).env)


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM unwinds the block, as Ctrl-C does."""

    def unwind(*_: object) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _read(log: Path, offset: int) -> tuple[str, int]:
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().decode("utf-8", "replace"), file.tell()
