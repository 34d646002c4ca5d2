"""docs/api.md: a day of work with curl, with castlist and in Python, each as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from testkit import clips
from testkit.api import Api, new_gallery
from testkit.running_stack import RunningStack

pytestmark = pytest.mark.stack
API = Path(__file__).parents[2] / "docs" / "api.md"
GALLERIES = ("newsroom", "watched", "copy")


def walk(title: str, language: str) -> str:
    """What stands in the code of a section, one block after the other."""
    section = re.split(r"^## ", API.read_text("utf-8"), flags=re.MULTILINE)
    (found,) = (one for one in section if one.startswith(f"{title}\n"))
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", found, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    return "\n".join(blocks)


def run(stack: RunningStack, folder: Path, command: list[str], names: dict[str, str]) -> str:
    """It goes well to its end, in a folder with the sample's clips; what it prints."""
    for day in ("monday", "wednesday"):
        (folder / f"{day}.mp4").write_bytes(clips.sample(day).read_bytes())
    for known, own in names.items():
        command = [re.sub(rf"\b{known}\b(?!\.)", own, part) for part in command]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    where = {"INGEST_URL": stack.ingest_url, "QUERY_URL": stack.query_url, "PATH": path}
    done = subprocess.run(command, cwd=folder, env={**os.environ, **where}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def names() -> dict[str, str]:
    """Galleries that no other test uses, in the place of those that are written there."""
    return {name: new_gallery(name) for name in GALLERIES}


def people(api: Api, gallery: str) -> list[tuple[str | None, int]]:
    """Names, and in how many videos."""
    return sorted(((one["name"], one["video_count"]) for one in api.profiles(gallery)), key=str)


@pytest.mark.parametrize("title", ["With curl", "With castlist", "In Python"])
def test_a_day_of_work_goes_as_it_is_written(
    api: Api, stack: RunningStack, tmp_path: Path, names: dict[str, str], title: str
) -> None:
    """In the end somebody has a name, who is enrolled was found, and the copy has what the gallery has."""
    if title == "In Python":
        run(stack, tmp_path, [sys.executable, "-c", walk(title, "python")], names)
    else:
        run(stack, tmp_path, ["bash", "-euo", "pipefail", "-c", walk(title, "sh")], names)
    there = people(api, names["newsroom"])
    assert len(there) == 3
    assert [name for name, _ in there if name] == ["Joe"]
    assert people(api, names["copy"]) == there
    assert max(videos for name, videos in people(api, names["watched"]) if name == "Joe") >= 1
