"""`--docker`: the same commands, handed to Docker Compose and `docker-compose.yml`."""

import os
import shutil
import subprocess
from typing import NoReturn

from deploy.config import ROOT
from deploy.errors import DeployError


def compose(*words: str) -> NoReturn:
    """Run `docker compose` with `words` in place of this process. Raises `DeployError` where there is none."""
    if not shutil.which("docker"):
        raise DeployError("there is no docker on PATH; without --docker nothing but Python is needed")
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        raise DeployError("this docker has no compose plugin; without --docker nothing but Python is needed")
    os.chdir(ROOT)
    os.execvp("docker", ["docker", "compose", "-f", "docker-compose.yml", *words])


def up(detach: bool) -> NoReturn:
    compose("up", "--build", *(["--detach", "--wait"] if detach else []))


def down() -> NoReturn:
    compose("down")


def status(as_json: bool) -> NoReturn:
    compose("ps", "--all", *(["--format", "json"] if as_json else []))


def logs(name: str | None, follow: bool, lines: int) -> NoReturn:
    compose("logs", "--tail", str(lines), *(["--follow"] if follow else []), *([name] if name else []))
