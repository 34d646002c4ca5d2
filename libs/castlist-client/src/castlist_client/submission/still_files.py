"""Which files of a folder have stopped growing. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class FileState(NamedTuple):
    """By what one sees that a file was written to, as the file system says it."""

    size: int
    mtime_ns: int


@dataclass
class StillFiles:
    """What was seen of a folder, look by look. Times are seconds of a clock that is never set; the files' own times are
    compared with each other alone, since the clock of a network drive is not ours."""

    settle: float
    """Seconds for which a file must stay as it is."""
    _since: dict[Path, tuple[FileState, float]] = field(default_factory=dict)

    def look(self, found: Mapping[Path, FileState], now: float) -> list[Path]:
        """The files that are there now and have not changed for long enough. An empty one is still to be written."""
        self._since = {path: self._unchanged(path, state, now) for path, state in found.items()}
        return [path for path, (state, since) in self._since.items() if state.size and now - since >= self.settle]

    def next_look(self, now: float) -> float | None:
        """In how many seconds the next file may be still; None where all are."""
        left = [since + self.settle - now for _, since in self._since.values() if now - since < self.settle]
        return min(left, default=None)

    def _unchanged(self, path: Path, state: FileState, now: float) -> tuple[FileState, float]:
        before = self._since.get(path)
        return before if before is not None and before[0] == state else (state, now)
