"""Files that are made to cost much, beside plain clips of others, on the whole stack."""

import struct
import uuid
from pathlib import Path

import pytest

from testkit import clips, hostile
from testkit.api import FINAL, Api, new_gallery

pytestmark = pytest.mark.stack
COPIES = 24
COSTLY = {"vast.gif", "growing.avi"}
"""Seconds of a core each, for what is worth it; the others are refused soon, or cut short."""


def another(data: bytes, path: Path) -> Path:
    """The same file in other bytes: another video."""
    path.write_bytes(data + struct.pack(">I4s", 24, b"free") + uuid.uuid4().bytes)
    return path


@pytest.mark.parametrize("name", hostile.files())
async def test_files_that_cost_much_hold_up_no_other_gallery(api: Api, tmp_path: Path, name: str) -> None:
    """A clip behind two dozen of them does not wait until these are done; and each of them ends when it is told to, if
    it has not before."""
    theirs, data = new_gallery("hostile"), hostile.files()[name]
    tasks = [api.submit(another(data, tmp_path / f"{n}-{name}"), theirs)["task_id"] for n in range(COPIES)]
    plain = another(clips.clip("libx264", ".mp4").read_bytes(), tmp_path / "plain.mp4")
    done = api.finished(api.submit(plain, new_gallery("plain"))["task_id"])
    assert done["status"] == "done"
    for task in tasks:
        api.http.post(f"{api.ingest}/tasks/{task}/cancel")
    ended = [api.finished(task) for task in tasks]
    assert all(one["status"] in FINAL for one in ended)
    if name in COSTLY:
        assert max(one["finished_at"] for one in ended) > done["finished_at"]
