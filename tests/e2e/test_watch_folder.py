"""A folder is watched by the command line, on the real stack."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from testkit import clips
from testkit.api import Api, new_gallery
from testkit.eventually import eventually
from testkit.own_service import TcpProxy
from testkit.running_stack import RunningStack

pytestmark = pytest.mark.stack


class Watching:
    """`castlist watch-folder`, and what it says."""

    def __init__(self, stack: RunningStack, folder: Path, gallery: str, state: Path, **more: str) -> None:
        where = {"INGEST_URL": stack.ingest_url, "QUERY_URL": stack.query_url, "XDG_STATE_HOME": str(state), **more}
        command = [sys.executable, "-m", "castlist_client.cli", "--json", "--patience", "0.5", "watch-folder"]
        options = ["-g", gallery, "--settle", "1", "--every", "0.5"]
        self.process = subprocess.Popen(
            [*command, str(folder), *options], stdout=subprocess.PIPE, text=True, env={**os.environ, **where}
        )
        self.said: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def what(self) -> dict[str, list[str]]:
        """For each file what was said of it, in that order."""
        found: dict[str, list[str]] = {}
        for one in self.said:
            found.setdefault(Path(one["path"]).name, []).append(one["what"])
        return found

    def stop(self) -> int:
        """By Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextmanager
def watching(stack: RunningStack, folder: Path, gallery: str, state: Path, **more: str) -> Iterator[Watching]:
    watch = Watching(stack, folder, gallery, state, **more)
    try:
        yield watch
    finally:
        if watch.process.poll() is None:
            assert watch.stop() == 130


def videos(api: Api, gallery: str) -> list[str]:
    """The names of what is in the gallery."""
    answer = api.get("/videos", gallery=gallery)
    return [one["name"] for one in answer.json()["items"]] if answer.status_code == 200 else []


def a_video(place: Path, n: int) -> bytes:
    """Bytes of a video that no other `n` has, at a place."""
    content = clips.sample("monday").read_bytes() + f"{place.parent.parent.name} {n}".encode()
    place.write_bytes(content)
    return content


def test_what_comes_into_a_folder_is_submitted_once(stack: RunningStack, api: Api, tmp_path: Path) -> None:
    """What was there and what comes, once it has stopped growing; renamed, moved, copied and restarted it is not
    uploaded again; what vanishes stays in the gallery."""
    gallery, folder, state = new_gallery("folder"), tmp_path / "in", tmp_path / "state"
    (folder / "deep").mkdir(parents=True)
    a_video(folder / "old.mp4", 1)
    with watching(stack, folder, gallery, state) as watch:
        eventually(lambda: watch.what().get("old.mp4") == ["submitted"])
        content = a_video(folder / "growing.mp4", 2)
        with (folder / "growing.mp4").open("wb") as file:
            for n in range(6):
                file.write(content[n * len(content) // 6 : (n + 1) * len(content) // 6])
                file.flush()
                threading.Event().wait(0.5)
                assert "growing.mp4" not in watch.what()
        eventually(lambda: watch.what().get("growing.mp4") == ["submitted"])
        (folder / "old.mp4").rename(folder / "deep" / "moved.mp4")
        eventually(lambda: watch.what().get("moved.mp4") == ["moved"])
        assert watch.what()["old.mp4"] == ["submitted", "gone"]
        shutil.copy(folder / "growing.mp4", folder / "copy.mp4")
        eventually(lambda: watch.what().get("copy.mp4") == ["known"])
        (folder / "growing.mp4").unlink()
        eventually(lambda: watch.what()["growing.mp4"] == ["submitted", "gone"])
        a_video(folder / "copy.mp4", 3)
        eventually(lambda: watch.what()["copy.mp4"] == ["known", "submitted"])
        assert sorted(videos(api, gallery)) == ["copy.mp4", "growing.mp4", "old.mp4"]
    with watching(stack, folder, gallery, state) as watch:
        a_video(folder / "new.mp4", 4)
        eventually(lambda: watch.what() == {"new.mp4": ["submitted"]})
    assert len(videos(api, gallery)) == 4


def test_what_is_no_finished_video_is_left_alone(stack: RunningStack, api: Api, tmp_path: Path) -> None:
    """Hidden, unfinished by its name, empty, text, a link to nothing; what ingest refuses is not tried again. A linked
    video is one, and once its name is the final one a download is too."""
    gallery, folder, state = new_gallery("folder"), tmp_path / "in", tmp_path / "state"
    folder.mkdir()
    a_video(folder / ".hidden.mp4", 1)
    a_video(folder / "film.mp4.part", 2)
    a_video(tmp_path / "elsewhere.mp4", 3)
    (folder / "linked.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    (folder / "loop").symlink_to(folder)
    (folder / "dangling.mp4").symlink_to(tmp_path / "nothing.mp4")
    (folder / "empty.mp4").touch()
    (folder / "notes.txt").write_text("not a video")
    (folder / "wrong.mp4").write_text("not a video")
    with watching(stack, folder, gallery, state) as watch:
        eventually(lambda: {"linked.mp4", "wrong.mp4"} <= watch.what().keys())
        (folder / "film.mp4.part").rename(folder / "film.mp4")
        eventually(lambda: watch.what().get("film.mp4") == ["submitted"])
        said = watch.what()
    assert {name: what for name, what in said.items() if what != ["left out"]} == {
        "linked.mp4": ["submitted"], "wrong.mp4": ["refused"], "film.mp4": ["submitted"],
    }  # fmt: skip
    assert {".hidden.mp4", "film.mp4.part", "dangling.mp4", "notes.txt"} <= said.keys()
    with watching(stack, folder, gallery, state) as watch:
        a_video(folder / "last.mp4", 4)
        eventually(lambda: watch.what().get("last.mp4") == ["submitted"])
        assert "wrong.mp4" not in watch.what()
    assert sorted(videos(api, gallery)) == ["film.mp4", "last.mp4", "linked.mp4"]


def test_services_and_folders_that_are_away_are_waited_for(stack: RunningStack, api: Api, tmp_path: Path) -> None:
    """Neither ends the watch, and each is said once."""
    gallery, folder, state = new_gallery("folder"), tmp_path / "in", tmp_path / "state"
    folder.mkdir()
    host, port = stack.ingest_url.removeprefix("http://").split(":")
    proxy = TcpProxy(host, int(port))
    with watching(stack, folder, gallery, state, INGEST_URL=f"http://127.0.0.1:{proxy.port}") as watch:
        a_video(folder / "one.mp4", 1)
        a_video(folder / "two.mp4", 2)
        eventually(lambda: [one["what"] for one in watch.said] == ["waiting"])
        proxy.mend()
        eventually(lambda: sorted(videos(api, gallery)) == ["one.mp4", "two.mp4"])
        folder.rename(tmp_path / "away")
        eventually(lambda: watch.said[-1]["what"] == "waiting")
        (tmp_path / "away").rename(folder)
        eventually(lambda: watch.said[-1]["what"] == "back")
        a_video(folder / "three.mp4", 3)
        eventually(lambda: watch.what().get("three.mp4") == ["submitted"])
    proxy.close()
    assert [one["what"] for one in watch.said].count("waiting") == 2
    assert "gone" not in [one["what"] for one in watch.said]


def test_a_file_that_cannot_be_read_is_said_and_tried_again(stack: RunningStack, api: Api, tmp_path: Path) -> None:
    """Once it can be, it is submitted."""
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    gallery, folder = new_gallery("folder"), tmp_path / "in"
    folder.mkdir()
    a_video(folder / "secret.mp4", 1)
    (folder / "secret.mp4").chmod(0)
    with watching(stack, folder, gallery, tmp_path / "state") as watch:
        eventually(lambda: watch.what().get("secret.mp4") == ["unreadable"])
        (folder / "secret.mp4").chmod(0o600)
        eventually(lambda: watch.what()["secret.mp4"] == ["unreadable", "submitted"])
