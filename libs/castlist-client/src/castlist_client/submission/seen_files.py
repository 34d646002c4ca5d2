"""What became of the files of a watched folder: kept on this machine, so that a restart reads none of them again."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from castlist_client.submission.still_files import FileState

Outcome = Literal["submitted", "known", "refused"]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
  path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sha256 TEXT, outcome TEXT, gone INTEGER DEFAULT 0
) WITHOUT ROWID
"""


class SeenFile(NamedTuple):
    """A file as it was when it was dealt with, and what became of it. `gone`: it was not there any more afterwards."""

    path: Path
    state: FileState
    sha256: str
    outcome: Outcome
    gone: bool = False


def place_of(folder: Path, gallery: str, server: str) -> Path:
    """Where that of a folder lies, for a gallery of a server: below `XDG_STATE_HOME`."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    about = "\n".join((os.path.realpath(folder), gallery, server)).encode("utf-8", "surrogateescape")
    return state / "castlist" / "folders" / f"{hashlib.sha256(about).hexdigest()[:32]}.sqlite"


class SeenFiles:
    """All of them, in one file; each is written for good before the next one is."""

    def __init__(self, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(place, timeout=30, isolation_level=None)
        self._db.execute(_SCHEMA)
        self._files = {one.path: one for one in map(_file, self._db.execute("SELECT * FROM files"))}

    def close(self) -> None:
        self._db.close()

    def is_done(self, path: Path, state: FileState) -> bool:
        """Whether this very file was dealt with."""
        seen = self._files.get(path)
        return seen is not None and seen.state == state

    def note(self, file: SeenFile) -> None:
        """What became of a file."""
        self._files[file.path] = file
        self._db.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
            (os.fsencode(file.path), *file.state, file.sha256, file.outcome, file.gone),
        )

    def vanished(self, there: Iterable[Path]) -> list[SeenFile]:
        """Those that were there at the last look and are not now; and they are known to be gone. Nothing else is done
        about them: what was submitted stays."""
        present = set(there)
        changed = [one for one in self._files.values() if one.gone == (one.path in present)]
        for one in changed:
            self.note(one._replace(gone=not one.gone))
        return [one for one in changed if not one.gone]

    def moved_from(self, path: Path, sha256: str) -> Path | None:
        """Where a file with these bytes was before, and is not now."""
        return next(
            (one.path for one in self._files.values() if one.sha256 == sha256 and one.gone and one.path != path), None
        )


def _file(row: tuple[bytes, int, int, str, Outcome, int]) -> SeenFile:
    path, size, mtime_ns, sha256, outcome, gone = row
    return SeenFile(Path(os.fsdecode(path)), FileState(size, mtime_ns), sha256, outcome, bool(gone))
