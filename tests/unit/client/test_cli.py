"""What a script sees of the command line without a server."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from castlist_client.cli import main
from castlist_client.commands.session import CANCELLED, FAILED, OK, UNREACHABLE, USAGE, exit_code


def absent() -> list[str]:
    """Options that lead to a port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    return ["--ingest", url, "--query", url, "--patience", "0"]


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["done", "done"], OK),
        (["queued", "processing"], OK),
        (["done", "cancelled"], CANCELLED),
        (["cancelled", "failed", "done"], FAILED),
        (["refused", "done"], FAILED),
    ],
)
def test_the_worst_outcome_decides_the_exit_code(statuses: list[str], code: int) -> None:
    """A failure outweighs a cancel, a cancel what went well."""
    assert exit_code(statuses) == code


@pytest.mark.parametrize(
    "command",
    [
        ["people"],
        ["watch", "t"],
        ["cancel", "t"],
        ["sheet", "out.html"],
        ["name", "p", "Ada"],
        ["history"],
        ["alert"],
        ["export", "out.tar"],
    ],
)
def test_an_absent_server_is_its_own_exit_code(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --json there is one document on stdout all the same; no half-written sheet is left."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*absent(), "--json", *command])
    assert done.exit_code == UNREACHABLE
    assert "does not answer" in json.loads(done.stdout)["error"]["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_submission_to_an_absent_server_says_what_was_not_submitted(tmp_path: Path) -> None:
    """Every file is listed, as far as it got."""
    (tmp_path / "a.mp4").write_bytes(b"video")
    done = CliRunner().invoke(main, ["submit", *absent(), "--json", str(tmp_path)])
    assert done.exit_code == UNREACHABLE
    (file,) = json.loads(done.stdout)["files"]
    assert file["path"] == str(tmp_path / "a.mp4")
    assert file["status"] == "not submitted"


@pytest.mark.parametrize("arguments", [["submit", "nothing-there.mp4"], ["submit"], ["people", "--nonsense"], ["no"]])
def test_wrong_usage_is_told_before_any_server_is_asked(arguments: list[str]) -> None:
    """A file that is not there and an option that does not exist."""
    assert CliRunner().invoke(main, [*absent(), *arguments]).exit_code == USAGE


def test_a_folder_without_videos_is_wrong_usage(tmp_path: Path) -> None:
    """With the files that were passed over, and why."""
    for number in range(25):
        (tmp_path / f"notes {number}").write_text("x")
    done = CliRunner().invoke(main, ["submit", str(tmp_path)])
    assert done.exit_code == USAGE
    assert f"left out: {tmp_path / 'notes 0'} (text)" in done.stderr
    assert "5 other files" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_names_that_a_terminal_does_not_have_do_not_end_a_run(encoding: str, more: list[str], tmp_path: Path) -> None:
    """Other scripts, bytes that are no letters: a run goes on to its end, and JSON keeps the path."""
    for name in ("日本.mp4".encode(), b"caf\xe9.mp4", b"caf\xe9", "заметки".encode()):
        (tmp_path / os.fsdecode(name)).write_bytes(b"hello")
    words = [sys.executable, "-m", "castlist_client.cli", "submit", *absent(), *more, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, timeout=60)
    assert b"Traceback" not in done.stderr, done.stderr
    assert done.returncode == UNREACHABLE
    if more:
        document = json.loads(done.stdout)
        paths = {os.fsencode(one["path"]) for one in document["files"] + document["left_out"]}
        assert paths == {os.fsencode(path) for path in tmp_path.iterdir()}
    else:
        assert b"left out" in done.stderr


def test_a_timeline_is_of_something(tmp_path: Path) -> None:
    """Wrong usage otherwise: of a .vtt a video, of the others a video or a person."""
    for name, options in (("a.edl", []), ("a.vtt", ["--person", "p"])):
        done = CliRunner().invoke(main, [*absent(), "export", str(tmp_path / name), *options])
        assert (done.exit_code, "--video" in done.output) == (USAGE, True)
