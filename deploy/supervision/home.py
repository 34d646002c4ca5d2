"""The folder of one stack (`CASTLIST_HOME`): its data, logs, state, and what must stay the same from run to run."""

import fcntl
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from deploy.errors import DeployError
from deploy.supervision.ports import free_port, is_free

FOR_OTHERS = 0o077
"""The bits of a mode that say what other users may do."""


@dataclass(frozen=True)
class Home:
    """Paths below one home."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def env(self) -> Path:
        return self.root / "env"

    def make(self) -> None:
        """Make what is missing, for our user alone.

        A home that others could read, as those of earlier versions, is closed to them with all that is in it.
        """
        self.root.mkdir(0o700, parents=True, exist_ok=True)
        for folder in (self.data, self.logs, self.run):
            folder.mkdir(0o700, exist_ok=True)
        if self.root.stat().st_mode & FOR_OTHERS:
            for path in (self.data, self.logs, self.run, self.state, self.env, self.root / "lock"):
                _close(path)
            self.root.chmod(0o700)  # last: one who is interrupted begins again

    def lock(self) -> TextIO:
        """Held for as long as the returned file is open. Raises `DeployError` when another supervisor holds it."""
        file = (self.root / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise DeployError(f"a stack is running in {self.root} already: `down` stops it") from None
        return file


def _close(path: Path) -> None:
    """Take from all others what they may do with `path` and what is below it; links are left as they are."""
    if path.is_symlink() or not path.exists():
        return
    path.chmod(path.stat().st_mode & ~FOR_OTHERS)
    if path.is_dir():
        for inner in path.iterdir():
            _close(inner)


@dataclass
class Kept:
    """What a home keeps between runs: the servers' ports, so that addresses in their data stay true, and the keys."""

    ports: dict[str, int] = field(default_factory=dict)
    access_key: str = ""
    secret_key: str = ""
    cluster_id: str = ""

    @classmethod
    def load(cls, home: Home) -> "Kept":
        path = home.run / "kept.json"
        kept = cls(**json.loads(path.read_text())) if path.exists() else cls()
        kept.access_key = kept.access_key or "castlist"
        kept.secret_key = kept.secret_key or secrets.token_hex(20)
        kept.cluster_id = kept.cluster_id or secrets.token_urlsafe(16)[:22].replace("-", "A").replace("_", "B")
        return kept

    def choose_port(self, name: str, avoid: set[int]) -> int:
        """The port `name` had before, or a free one where that is taken by now."""
        port = self.ports.get(name)
        if port is None or port in avoid or not is_free("127.0.0.1", port):
            others = {taken for other, taken in self.ports.items() if other != name}
            self.ports[name] = port = free_port(others | avoid)
        return port

    def save(self, home: Home) -> None:
        write_atomically(home.run / "kept.json", json.dumps(vars(self), indent=1))


def write_atomically(path: Path, text: str) -> None:
    """Replace `path`, for our user alone; a reader sees the old text or the new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(partial, path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`, or None where there is none."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None
