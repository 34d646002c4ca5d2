"""A progress bar for the terminal, a few plain lines for a log."""

import sys
import time
from typing import TextIO


class Progress:
    """Shows how much of `total` of one thing is done. Use as a context; `update` takes how much it is by now.

    `size` is what `total` is called; the default takes it for bytes.
    """

    def __init__(self, label: str, total: int, size: str | None = None, out: TextIO | None = None) -> None:
        self._label = label
        self._size = _megabytes(total) if size is None else size
        self._total = max(1, total)
        self._out = out or sys.stderr
        self._bar = self._out.isatty()
        self._shown = 0.0
        self._done = 0
        self._started = time.monotonic()

    def __enter__(self) -> "Progress":
        if not self._bar:
            self._out.write(f"{self._label}: {self._size} …\n")
            self._out.flush()
        return self

    def update(self, done: int) -> None:
        self._done = min(done, self._total)
        if self._bar and time.monotonic() - self._shown > 0.1:
            self._draw()

    def __exit__(self, kind: object, *_: object) -> None:
        if not self._bar:
            return
        if kind is None:
            self._done = self._total
        self._draw()
        self._out.write("\n")
        self._out.flush()

    def _draw(self) -> None:
        self._shown = time.monotonic()
        share = self._done / self._total
        bar = ("█" * round(24 * share)).ljust(24, "░")
        seconds = time.monotonic() - self._started
        self._out.write(f"\r{self._label:<28} {bar} {share:4.0%}  {self._size}  {seconds:4.0f} s ")
        self._out.flush()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
