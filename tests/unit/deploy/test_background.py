"""What is left of a temporary stack: nothing, or the logs where something went wrong."""

import tempfile
from pathlib import Path

import pytest

from deploy.config import load_config
from deploy.supervision import background
from deploy.supervision.home import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stack lives, of which nothing is started but a log written."""
    folder = tmp_path / "home"

    def make(prefix: str) -> str:
        folder.mkdir()
        return str(folder)

    def launch(config: object, home: Home, arguments: list[str]) -> None:
        home.make()
        (home.logs / "ingest.log").write_text("said something")

    monkeypatch.setattr(tempfile, "mkdtemp", make)
    monkeypatch.setattr(background, "launch", launch)
    monkeypatch.setattr(background, "stop", lambda running: None)
    return folder


def test_nothing_stays_when_all_went_well(home: Path) -> None:
    """A stack that served its purpose is gone with its home."""
    with background.temporary_stack(load_config(), "test"):
        assert (home / "logs" / "ingest.log").exists()
    assert not home.exists()


def test_an_error_leaves_the_logs_and_says_where(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever wants to know why finds the logs."""
    with pytest.raises(OSError), background.temporary_stack(load_config(), "test"):
        raise OSError
    assert [path.name for path in home.rglob("*.log")] == ["ingest.log"]
    assert str(home / "logs") in capsys.readouterr().err


def test_ctrl_c_leaves_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to explain."""
    with pytest.raises(KeyboardInterrupt), background.temporary_stack(load_config(), "test"):
        raise KeyboardInterrupt
    assert not home.exists()
    assert capsys.readouterr().err == ""
