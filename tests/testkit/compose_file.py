"""docker-compose.yml, as Docker Compose reads it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from testkit.source import ROOT

COMPOSE_GO = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
"""The library that Docker Compose reads its files with, as a command."""
SECRET = "a-password"
"""What stands for each that the file leaves open."""


def text() -> str:
    """The file with its passwords filled in."""
    return re.sub(r"\$\{\w+:\?[^}]*\}", SECRET, (ROOT / "docker-compose.yml").read_text())


def read(folder: Path) -> dict[str, Any]:
    """The whole project, profiles included, by Compose's own rules; `folder` is for what is in between.

    Skips where neither Docker Compose nor Go is at hand.
    """
    file = folder / "docker-compose.yml"
    file.write_text(text())
    if _has_compose():
        words = ["docker", "compose", "--profile", "*", "-f", str(file), "config", "--format", "json"]
    elif shutil.which("go"):
        words = ["go", "run", COMPOSE_GO, "-format", "json", str(file)]
    else:
        pytest.skip("reading the compose file needs Docker Compose or Go")
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def _has_compose() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
