"""`state.json`: what the supervisor says about itself and its processes, and what a reader may believe of it."""

import json
import os
from typing import Any

from deploy.supervision.home import Home, read_json, write_atomically
from deploy.supervision.process import Process
from deploy.supervision.process_id import ProcessId


def write_state(
    home: Home, stage: str, processes: list[Process], given: dict[str, str], error: str | None = None
) -> None:
    """Publish the state; `stage` is `starting`, `ready`, `stopping`, `stopped` or `failed`."""
    supervisor = ProcessId.of(os.getpid())
    rows: list[dict[str, Any]] = [
        {
            "name": process.spec.name,
            "state": process.state,
            "restarts": process.restarts,
            "port": process.spec.port,
            "address": process.spec.address,
            "log": str(process.log),
            "identity": process.identity.to_json() if process.identity else None,
        }
        for process in processes
    ]
    rows += [
        {"name": name, "state": "given", "restarts": 0, "port": None, "address": address, "log": None, "identity": None}
        for name, address in given.items()
    ]
    content = {
        "version": 1,
        "stage": stage,
        "error": error,
        "supervisor": supervisor.to_json() if supervisor else None,
        "processes": rows,
    }
    write_atomically(home.state, json.dumps(content, indent=1))


def supervisor_of(home: Home) -> ProcessId | None:
    """The supervisor the state names, dead or alive."""
    state = read_json(home.state)
    return ProcessId.from_json(state["supervisor"]) if state else None


def read_processes(home: Home) -> list[dict[str, Any]]:
    """The rows of `status`: name, pid, state, restarts, port, address, log. A row whose process is gone has no pid.

    Where the supervisor is dead, nothing runs, whatever the file says.
    """
    state = read_json(home.state)
    if not state:
        return []
    supervisor = ProcessId.from_json(state["supervisor"])
    alive = bool(supervisor and supervisor.alive)
    rows = []
    for row in state["processes"]:
        identity = ProcessId.from_json(row.pop("identity"))
        running = bool(identity and identity.alive)
        if row["state"] != "given" and not alive:
            row["state"] = "orphaned" if running else "stopped"
        elif row["state"] in ("ready", "starting") and not running:
            row["state"] = "died"
        rows.append({"name": row["name"], "pid": identity.pid if identity and running else None, **row})
    return rows


def stage_of(home: Home) -> tuple[str, str | None]:
    """The stack's stage and error; `stopped` when there is none, `died` when its supervisor went without a word."""
    state = read_json(home.state)
    if not state:
        return "stopped", None
    supervisor = ProcessId.from_json(state["supervisor"])
    if state["stage"] in ("stopped", "failed") or (supervisor and supervisor.alive):
        return state["stage"], state["error"]
    return "died", None
