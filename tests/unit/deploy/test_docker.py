"""`--docker`, held against a stand-in that notes what Docker is asked for."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from deploy.commands import docker
from deploy.config import PORTS, load_config, read_dotenv
from deploy.errors import DeployError

STAND_IN = """#!/bin/sh
case "$*" in
  *" ps "*) echo '{rows}';;
  "compose version") ;;
  *) echo "$*" | sed 's/.*docker-compose.yml //' >> '{asked}';;
esac
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Docker was asked for, a line each; every service is healthy, and both APIs answer."""
    rows = [{"Service": name, "Health": "healthy"} for name in docker._SERVICES]
    stand_in = tmp_path / "docker"
    stand_in.write_text(STAND_IN.format(rows=json.dumps(rows), asked=tmp_path / "asked"))
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(docker, "ROOT", tmp_path)
    monkeypatch.setattr(docker, "_answers", lambda url: True)
    for name in (*docker.ACCOUNTS, *PORTS, "CASTLIST_IMAGES"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "asked"


def test_what_images_stand_on_is_built_before_them(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then all come up, and the addresses are said."""
    assert docker.up(load_config(), detach=True) == 0
    assert asked.read_text().splitlines() == ["build dlib", "build", "up --detach"]
    assert "http://127.0.0.1:50001" in capsys.readouterr().out


def test_images_of_elsewhere_are_pulled(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is built then."""
    monkeypatch.setenv("CASTLIST_IMAGES", "registry.example/castlist")
    assert docker.up(load_config(), detach=True) == 0
    assert asked.read_text().splitlines() == ["pull", "up --detach"]


def test_accounts_are_made_up_once_and_kept_for_the_user_alone(tmp_path: Path, asked: Path) -> None:
    """What the file said before stays, and a password that somebody chose is not replaced."""
    path = tmp_path / ".env"
    path.write_text("WORKERS=3\nS3_SECRET_KEY=chosen")
    first = docker.accounts(path)
    assert docker.accounts(path) == first
    assert first["S3_SECRET_KEY"] == "chosen"
    assert read_dotenv(path) == {"WORKERS": "3", **first}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(set(first.values())) == len(docker.ACCOUNTS)


def test_a_temporary_project_takes_its_volumes_with_it(asked: Path) -> None:
    """Also when what it was for failed."""
    with pytest.raises(RuntimeError), docker.temporary_containers("demo"):
        raise RuntimeError
    assert asked.read_text().endswith(" down --volumes --timeout 20\n")


def test_both_shapes_of_compose_ps_are_read() -> None:
    """A list, and an object a line."""
    rows: list[dict[str, Any]] = [{"Service": "ingest"}, {"Service": "kafka"}]
    assert docker.rows_of(json.dumps(rows)) == rows
    assert docker.rows_of("\n".join(map(json.dumps, rows))) == rows
    assert docker.rows_of("") == []


def test_without_docker_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to do instead."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DeployError, match="without --docker nothing but Python is needed"):
        docker.status(load_config(), as_json=False)
