"""What the machine does beside a bench: a figure taken while other processes are at work says little."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PRESSURE = {"a core": Path("/proc/pressure/cpu"), "the disk": Path("/proc/pressure/io")}


def at_rest() -> str:
    """What it does before we begin: its cores, and the load of the last minutes."""
    loads = " ".join(f"{load:.2f}" for load in os.getloadavg())
    return f"{len(os.sched_getaffinity(0))} cores, load before: {loads} (1, 5, 15 min), at {time.strftime('%H:%M')}"


@contextmanager
def watched(look: Callable[[], None], pause: float = 0.25) -> Iterator[None]:
    """Call `look` again and again while inside, so many seconds apart, on a thread of its own."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(pause):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Pressure:
    """Since it was made: for what part of the time some process, ours or another's, was kept waiting, and for what."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), _stalled()

    def __str__(self) -> str:
        spent, after = time.monotonic() - self._began, _stalled()
        shares = [f"for {what} {(after[what] - before) / spent:.0%}" for what, before in self._before.items()]
        return (
            f"some process had to wait {', '.join(shares)} of the time"
            if shares
            else "this kernel does not count who had to wait"
        )


def _stalled() -> dict[str, float]:
    """Seconds since boot in which any process waited, by what for; without what this kernel does not tell."""
    found = {}
    for what, path in _PRESSURE.items():
        if path.exists():
            some = path.read_text().splitlines()[0]
            found[what] = int(some.rpartition("total=")[2]) / 1e6
    return found
