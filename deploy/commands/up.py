"""`up`: bring the stack up and stay with it, or leave it to a supervisor in the background."""

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deploy.config import Config
from deploy.environment import enter_environment
from deploy.errors import DeployError
from deploy.supervision.background import launch
from deploy.supervision.home import Home, Kept
from deploy.supervision.ports import holder, is_free
from deploy.supervision.services import SERVICES
from deploy.supervision.stack import Stack, fetch_servers, plan_stack, public_addresses
from deploy.supervision.supervisor import Supervisor, end_orphans


def up(config: Config, detach: bool = False, servers_only: bool = False) -> int:
    """Bring a stack up. In the foreground it returns when it has been stopped, detached as soon as it is ready."""
    prepare(config)
    home = Home(config.home)
    home.make()
    home.lock().close()
    end_orphans(home)
    if not servers_only:
        config = choose_ports(config, home, say)
    if detach:
        launch(config, home, ["--servers-only"] if servers_only else [], left=True)
        return 0
    stack = plan(config, home, servers_only)
    Supervisor(stack, home, say).run()
    return 0


def prepare(config: Config) -> None:
    """The environment and the servers. Goes on as the interpreter of `.venv`."""
    require_platform()
    enter_environment(config)
    fetch_servers(config)


def plan(config: Config, home: Home, servers_only: bool) -> Stack:
    """What to start, on the ports of `config`."""
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


def choose_ports(config: Config, home: Home, say: Callable[[str], None]) -> Config:
    """The settings with ports that are free: a default that is taken gives way to another one, which is said.

    The home keeps that one for the next time. Raises `DeployError` where a port that was asked for is taken.
    """
    kept, ports = Kept.load(home), dict(config.ports)
    for name, _, setting in SERVICES:
        port = ports[setting]
        if is_free(config.bind_host, port):
            continue
        who = holder(port)
        taken = f"port {port} of {name} is in use{f' by process {who}' if who else ''}"
        if setting in config.asked:
            raise DeployError(f"{taken}: set {setting} to another one")
        ports[setting] = kept.choose_port(setting, set(ports.values()))
        say(f"{taken}: this stack takes {ports[setting]}")
    kept.save(home)
    return replace(config, ports=ports, asked=frozenset(ports))


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
