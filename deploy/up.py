"""`up`: bring the stack up and stay with it, or leave it to a supervisor in the background."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from deploy.config import ROOT, Config
from deploy.environment import enter_environment
from deploy.errors import DeployError
from deploy.home import Home
from deploy.identity import ProcessId
from deploy.ports import holder, is_free
from deploy.services import SERVICES
from deploy.stack import Stack, fetch_servers, plan_stack, public_addresses
from deploy.state import stage_of, supervisor_of
from deploy.supervisor import Supervisor


def up(config: Config, detach: bool = False, servers_only: bool = False) -> int:
    """Bring a stack up. In the foreground it returns when it has been stopped, detached as soon as it is ready."""
    prepare(config)
    home = Home(config.home)
    home.make()
    home.lock().close()
    if detach:
        return _detached(config, home, servers_only)
    stack = plan(config, home, servers_only)
    Supervisor(stack, home, say).run()
    return 0


def prepare(config: Config) -> None:
    """The environment and the servers. Goes on as the interpreter of `.venv`."""
    require_platform()
    enter_environment(config)
    fetch_servers(config)


def plan(config: Config, home: Home, servers_only: bool) -> Stack:
    """What to start; raises `DeployError` where a service's port is taken."""
    if not servers_only:
        for name, _, setting in SERVICES:
            require_port(config.bind_host, config.ports[setting], name, setting)
    stack = plan_stack(config, home, Path(sys.executable), servers_only)
    stack.env.setdefault("QUERY_URL", os.environ.get("QUERY_URL") or public_addresses(config)["QUERY_URL"])
    stack.env.setdefault("INGEST_URL", public_addresses(config)["INGEST_URL"])
    return stack


def require_platform() -> None:
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise DeployError(
            f"the local stack runs on Linux x86-64 only, this is {system} {machine}; `up --docker` may serve"
        )


def require_port(host: str, port: int, name: str, setting: str) -> None:
    if not is_free(host, port):
        who = holder(port)
        raise DeployError(
            f"port {port} of {name} is in use{f' by process {who}' if who else ''}: set {setting} to another one"
        )


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _detached(config: Config, home: Home, servers_only: bool) -> int:
    if not servers_only:
        for name, _, setting in SERVICES:
            require_port(config.bind_host, config.ports[setting], name, setting)
    log = home.logs / "supervisor.log"
    offset = log.stat().st_size if log.exists() else 0
    words = [sys.executable, str(ROOT / "deploy"), "up", *(["--servers-only"] if servers_only else [])]
    with log.open("ab") as output:
        running = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=ROOT
        )
    try:
        while True:
            gone = running.poll() is not None
            offset = _show(log, offset)
            if gone:
                return 1
            supervisor = supervisor_of(home)
            if supervisor == ProcessId.of(running.pid) and stage_of(home)[0] == "ready":
                _show(log, offset)
                return 0
            time.sleep(0.05)
    except BaseException:
        running.terminate()
        running.wait()
        raise


def _show(log: Path, offset: int) -> int:
    with log.open("rb") as file:
        file.seek(offset)
        sys.stdout.write(file.read().decode("utf-8", "replace"))
        sys.stdout.flush()
        return file.tell()
