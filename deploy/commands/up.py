"""`up`: bring the stack up and stay with it, or leave it to a supervisor in the background."""

import os
import platform
import sys
import time
from pathlib import Path

from deploy.config import Config
from deploy.environment import enter_environment
from deploy.errors import DeployError
from deploy.supervision.background import launch
from deploy.supervision.home import Home
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
    if detach:
        if not servers_only:
            require_ports(config)
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
    """What to start; raises `DeployError` where a service's port is taken."""
    if not servers_only:
        require_ports(config)
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


def require_ports(config: Config) -> None:
    """Raises `DeployError` with the first service's port that something listens on."""
    for name, _, setting in SERVICES:
        port = config.ports[setting]
        if not is_free(config.bind_host, port):
            who = holder(port)
            by = f" by process {who}" if who else ""
            raise DeployError(f"port {port} of {name} is in use{by}: set {setting} to another one")


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
