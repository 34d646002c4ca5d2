"""TCP ports: free ones, and who holds a taken one."""

import contextlib
import os
import socket
from pathlib import Path


def is_free(host: str, port: int) -> bool:
    """True when a server could listen on `host:port` now; a former one's connections in TIME_WAIT do not count."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(taken: set[int] | None = None) -> int:
    """A port that is free at loopback, and not in `taken`.

    It lies below the range from which outgoing connections take theirs: one of them could have it by the time the
    server is restarted.
    """
    low = _ephemeral_start()
    for _ in range(1000):
        port = 20000 + int.from_bytes(os.urandom(4)) % max(1, min(low, 65000) - 20000)
        if port not in (taken or set()) and is_free("127.0.0.1", port):
            return port
    raise OSError("no free port found")


def answers(host: str, port: int, timeout: float = 0.5) -> bool:
    """True when something accepts a connection on `host:port`."""
    try:
        with socket.create_connection((host, port), timeout):
            return True
    except OSError:
        return False


def holder(port: int) -> str | None:
    """`PID (command)` of the process that listens on `port`, as far as /proc lets us see it."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            if any(os.readlink(fd) in inodes for fd in (entry / "fd").iterdir()):
                return f"{entry.name} ({(entry / 'comm').read_text().strip()})"
    return None


def _ephemeral_start() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768
