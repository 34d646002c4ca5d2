"""An environment of our own in the cache, where pip, jgo and (if there is none on PATH) uv run.

The Python that started us is never installed into.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.errors import DeployError
from deploy.servers.fetch import run_pip

LOCKS = Path(__file__).parent / "locks"


def tools_python(cache: Path, *names: str) -> Path:
    """The interpreter of an environment that holds what `locks/<name>.txt` lists, made on first use.

    Raises `DeployError` when it cannot be made (no `venv` module, no network, a hash that differs).
    """
    locks = [LOCKS / f"{name}.txt" for name in names]
    key = hashlib.sha256("".join(lock.read_text() for lock in locks).encode() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"{'-'.join(names) or 'pip'}-{key}"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    _make_venv(folder)
    for lock in locks:
        what = " and ".join(line.split("==")[0] for line in lock.read_text().splitlines() if "==" in line)
        what = what if len(what) < 20 else lock.stem
        run_pip(python, ["install", "--require-hashes", "--no-deps", "-r", str(lock)], what)
    (folder / "complete").touch()
    return python


def find_uv(cache: Path) -> Path:
    """uv from PATH, else one fetched into the cache."""
    found = shutil.which("uv")
    if found:
        return Path(found)
    return tools_python(cache, "uv").with_name("uv")


def _make_venv(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Started from within .venv (a re-exec) this still makes a full one: venv follows the base interpreter.
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, env=_plain_environment()
    )
    if made.returncode == 0:
        return
    uv = shutil.which("uv")
    if uv and subprocess.run([uv, "venv", "-q", "--seed", "--clear", str(folder)], capture_output=True).returncode == 0:
        return
    raise DeployError(
        "this Python cannot make environments: install its venv package (Debian: apt install python3-venv)"
    )


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
