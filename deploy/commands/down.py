"""`down`: stop a stack that runs elsewhere."""

import signal
import sys
import time

from deploy.config import Config
from deploy.supervision.home import Home
from deploy.supervision.state import supervisor_of
from deploy.supervision.supervisor import end_orphans

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
