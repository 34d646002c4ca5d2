"""Processes of this machine, by their ids."""

import psutil


def runs(pid: int) -> bool:
    """Whether the process is there, and not only waiting for its parent to collect it."""
    try:
        return bool(psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.NoSuchProcess:
        return False
