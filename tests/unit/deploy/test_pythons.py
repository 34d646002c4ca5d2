"""Which Pythons are found."""

import sys
from pathlib import Path

import pytest

from deploy.commands.pythons import find_python, running_version


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose only folders of interpreters are these."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def interpreter(path: Path, version: str) -> Path:
    """Something that says it is this version."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def test_this_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is installed."""
    monkeypatch.setenv("PATH", str(Path(sys.base_prefix) / "bin"))
    assert find_python(running_version()) is not None


def test_a_shim_that_leads_nowhere_is_passed_over(only: Path) -> None:
    """And one that is another version than its name says."""
    interpreter(only / "bin" / "python3.12", "3.10")
    found = interpreter(only / "pyenv" / "versions" / "3.12.1" / "bin" / "python3.12", "3.12")
    assert find_python("3.12") == found
    assert find_python("3.13") is None
