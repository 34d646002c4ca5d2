"""The command line: what it takes, and that whatever is wrong comes to one line."""

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import cli
from deploy.commands import demo, up
from deploy.commands import test as check
from deploy.errors import DeployError

ROOT = Path(__file__).resolve().parents[3]


def noted(calls: list[Any], call: Any) -> int:
    calls.append(call)
    return 0


def test_another_platform_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is fetched."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with pytest.raises(DeployError, match="runs on Linux x86-64 only, this is Darwin arm64"):
        up.require_platform()


def test_an_error_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Without a traceback."""
    monkeypatch.setenv("CASTLIST_HOME", str(tmp_path))
    assert cli.main(["logs", "nobody"]) == 1
    assert capsys.readouterr().err == f"deploy: no log of nobody in {tmp_path}/logs (there are: none)\n"


def test_without_a_command_it_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the options of `up`, which may also stand before it."""
    calls: list[Any] = []
    monkeypatch.setattr(up, "up", lambda config, *options: noted(calls, options))
    monkeypatch.setenv("WORKERS", "7")
    assert cli.main([]) == 0
    assert cli.main(["up", "--detach", "--workers", "3"]) == 0
    assert cli.main(["--servers-only", "up", "--detach"]) == 0
    assert calls == [(False, False), (True, False), (True, True)]


def test_what_test_does_not_know_goes_to_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its order, options included; every other command refuses what it does not know."""
    calls: list[Any] = []
    monkeypatch.setattr(check, "test", lambda config, faults, rest: noted(calls, (faults, rest)))
    monkeypatch.setattr(demo, "demo", lambda config, keep, docker: noted(calls, (keep, docker)))
    assert cli.main(["test", "--faults", "tests/chaos", "-k", "killed", "-x"]) == 0
    assert cli.main(["demo", "--keep"]) == 0
    assert cli.main(["demo", "--docker"]) == 0
    assert calls == [(True, ["tests/chaos", "-k", "killed", "-x"]), (True, False), (False, True)]
    with pytest.raises(SystemExit) as raised:
        cli.main(["demo", "--no-such-option"])
    assert raised.value.code == 2


def test_nothing_but_the_standard_library_is_needed_to_be_asked() -> None:
    """`status` works for whoever has Python and no environment yet: isolated, without site-packages."""
    script = f"import sys; sys.argv = ['deploy', 'status']; sys.path.insert(0, {str(ROOT / 'deploy')!r})\n"
    script += f"import runpy; runpy.run_path({str(ROOT / 'deploy' / '__main__.py')!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        capture_output=True, text=True, env={"CASTLIST_HOME": "/nonexistent/home", "HOME": "/nonexistent"},
    )  # fmt: skip
    assert done.stdout == "/nonexistent/home: stopped\n", done.stderr
    assert done.returncode == 3
