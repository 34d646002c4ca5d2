"""`logs`: show what the processes of a stack have logged."""

import time
from pathlib import Path

from deploy.config import Config
from deploy.errors import DeployError
from deploy.supervision.home import Home


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
