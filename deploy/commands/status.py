"""`status`: say what runs."""

import json

from deploy.config import Config
from deploy.supervision.home import Home
from deploy.supervision.state import read_processes, stage_of, supervisor_of


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
