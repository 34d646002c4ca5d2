"""`.venv`: the locked dependencies and the workspace's own packages, installed as links."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from deploy.config import ROOT, Config
from deploy.errors import DeployError
from deploy.servers.fetch import cache_locked, fetch_error
from deploy.tools import find_uv

MEMBERS = [
    "libs/castlist",
    "libs/castlist-client",
    "libs/castlist-vision",
    "libs/castlist-identity",
    "ingest",
    "frame-workers",
    "profile-aggregator",
    "query-api",
]


def ensure_environment(config: Config, folder: Path | None = None, base: Path | None = None) -> Path:
    """The interpreter of an environment, made or brought up to the lock where it differs from it.

    `folder` is `.venv` unless given, `base` the Python that runs. Raises `DeployError`: no network, a wrong hash, an
    environment that cannot be made.
    """
    folder = folder or config.venv
    python = folder / "bin" / "python"
    stamp = folder / "castlist-lock.sha256"
    wanted = _wanted()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    with cache_locked(config.cache):
        if python.exists() and stamp.exists() and stamp.read_text() == wanted:
            return python
        print(f"environment: installing the locked packages into {folder.name} …", file=sys.stderr, flush=True)
        uv = find_uv(config.cache)
        stamp.unlink(missing_ok=True)
        if not python.exists():
            # `sys.executable` may be a shim, or that of an environment the user has activated.
            base_python = str(base or _base_python())
            _uv([uv, "venv", "-q", "--allow-existing", "--python", base_python, str(folder)], "environment")
        target = ["--python", str(python)]
        _uv([uv, "pip", "sync", *target, "--require-hashes", "requirements.lock"], "packages of requirements.lock")
        links = [word for member in MEMBERS for word in ("-e", f"./{member}")]
        _uv([uv, "pip", "install", "-q", *target, "--no-deps", *links], "packages of the workspace")
        stamp.write_text(wanted)
    return python


def enter_environment(config: Config) -> None:
    """Go on as the interpreter of `.venv`: same process, same arguments. Returns when that is what runs already."""
    python = ensure_environment(config)
    if Path(sys.prefix) == config.venv:
        return
    os.execv(python, [str(python), str(ROOT / "deploy"), *sys.argv[1:]])


def _wanted() -> str:
    """Digest of what decides about the environment's content."""
    total = hashlib.sha256(str(ROOT).encode())
    for path in [ROOT / "requirements.lock", *(ROOT / member / "pyproject.toml" for member in MEMBERS)]:
        total.update(path.read_bytes())
    return total.hexdigest()


def _base_python() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _uv(command: list[str | Path], what: str) -> None:
    # Its progress goes to the terminal when there is one; otherwise it is kept for the error.
    show = sys.stderr.isatty()
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")}
    done = subprocess.run(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.DEVNULL, stderr=None if show else subprocess.PIPE
    )
    if done.returncode:
        raise fetch_error(what, done.stderr) if done.stderr else DeployError(f"{what}: uv failed, its reason is above")
