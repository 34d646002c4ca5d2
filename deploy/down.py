"""`down`, `status`, `logs`: what one does with a stack that runs elsewhere."""

import json
import signal
import sys
import time
from pathlib import Path

from deploy.config import Config
from deploy.errors import DeployError
from deploy.home import Home
from deploy.state import read_processes, stage_of, supervisor_of
from deploy.supervisor import end_orphans

LONGEST_STOP = 100.0


def down(config: Config) -> int:
    """Stop the stack of this home and wait until nothing of it is left. Nothing running is fine."""
    home = Home(config.home)
    supervisor = supervisor_of(home)
    if supervisor is None or not supervisor.send(signal.SIGTERM):
        end_orphans(home)
        print(f"nothing runs in {config.home}")
        return 0
    until = time.monotonic() + LONGEST_STOP
    while supervisor.alive:
        if time.monotonic() > until:
            print("deploy: the supervisor does not stop: killing it", file=sys.stderr)
            supervisor.send(signal.SIGKILL)
            until = time.monotonic() + 10
        time.sleep(0.05)
    end_orphans(home)
    print("stopped")
    return 0


def status(config: Config, as_json: bool) -> int:
    """Print the processes; exit code 3 when none runs here."""
    home = Home(config.home)
    rows, (stage, error) = read_processes(home), stage_of(home)
    code = 0 if stage in ("starting", "ready", "stopping") else 3
    if as_json:
        print(json.dumps({"stage": stage, "error": error, "home": str(config.home), "processes": rows}, indent=1))
        return code
    supervisor = supervisor_of(home)
    who = f" (supervisor {supervisor.pid})" if supervisor and supervisor.alive else ""
    print(f"{config.home}: {stage}{who}{f': {error}' if error else ''}")
    for row in rows:
        again = f"restarted {row['restarts']}×" if row["restarts"] else ""
        print(f"  {row['name']:<20} {row['state']:<9} {row['pid'] or '-':>8}  {row['address']:<28} {again}".rstrip())
    return code


def logs(config: Config, name: str | None, follow: bool, lines: int) -> int:
    """Print the end of one log, or of all; with `follow`, what comes after it too, until Ctrl-C."""
    folder = Home(config.home).logs
    found = sorted(folder.glob("*.log"))
    if name:
        found = [path for path in found if path.stem == name]
        if not found:
            names = ", ".join(sorted(path.stem for path in folder.glob("*.log"))) or "none"
            raise DeployError(f"no log of {name} in {folder} (there are: {names})")
    if not found:
        raise DeployError(f"no logs in {folder}")
    width = max(len(path.stem) for path in found) if len(found) > 1 else 0
    offsets = {}
    for path in found:
        text, offsets[path] = _read(path, 0)
        _print(path, text.splitlines()[-lines:], width)
    while follow:
        time.sleep(0.2)
        for path in found:
            if path.exists() and path.stat().st_size < offsets[path]:
                offsets[path] = 0  # rotated: a new stack was started
            text, offsets[path] = _read(path, offsets[path])
            _print(path, text.splitlines(), width)
    return 0


def _read(path: Path, offset: int) -> tuple[str, int]:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().decode("utf-8", "replace"), file.tell()


def _print(path: Path, lines: list[str], width: int) -> None:
    for line in lines:
        print(f"{path.stem:<{width}} | {line}" if width else line, flush=True)
