"""Which files a client puts in."""

import asyncio
import hashlib
import re
from pathlib import Path

import pytest

from castlist_client.files import CountingReader, collect, sha256_of


def _make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_a_folder_gives_its_videos_and_counts_the_rest(tmp_path: Path) -> None:
    """Suffixes decide inside folders, whatever their case; hidden files and folders are not looked at."""
    _make(tmp_path, "b.mp4", "a/c.MKV", "notes.txt", "a/cover.jpg", ".hidden.mp4", ".cache/x.mp4")
    found = collect([str(tmp_path)])
    assert [path.relative_to(tmp_path) for path in found.files] == [Path("b.mp4"), Path("a/c.MKV")]
    assert found.skipped == 2


def test_a_named_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    """Only the server knows what a file is; who names one means it."""
    _make(tmp_path, "recording")
    assert collect([str(tmp_path / "recording")]).files == (tmp_path / "recording",)


def test_globs_are_taken_where_the_shell_left_them(tmp_path: Path) -> None:
    """Matched files are filtered like those of a folder, and matched folders are looked through."""
    _make(tmp_path, "day1/a.mp4", "day1/log.txt", "day2/b.webm", "other/c.mp4")
    found = collect([str(tmp_path / "day*")])
    assert [path.name for path in found.files] == ["a.mp4", "b.webm"]
    assert found.skipped == 1
    assert [path.name for path in collect([str(tmp_path / "**" / "*.mp4")]).files] == ["a.mp4", "c.mp4"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    """`clip[1].mp4` is a name that browsers give."""
    _make(tmp_path, "clip[1].mp4", "clip1.mp4")
    assert [path.name for path in collect([str(tmp_path / "clip[1].mp4")]).files] == ["clip[1].mp4"]


def test_a_file_is_taken_once_however_often_it_is_named(tmp_path: Path) -> None:
    """By its folder, by its name, through a link; and a file taken by name does not count as skipped."""
    _make(tmp_path, "a.mp4", "raw")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    found = collect([str(tmp_path / "raw"), str(tmp_path), str(tmp_path / "a.mp4")])
    assert [path.name for path in found.files] == ["raw", "a.mp4"]
    assert found.skipped == 0


@pytest.mark.parametrize("name", ["nothing.mp4", "no*where.mp4"])
def test_a_name_that_stands_for_nothing_is_an_error(tmp_path: Path, name: str) -> None:
    """It is a typing mistake, not an empty result."""
    with pytest.raises(FileNotFoundError, match=re.escape(name)):
        collect([str(tmp_path / name)])


async def test_the_hash_tells_how_far_it_is(tmp_path: Path) -> None:
    """The last report is the whole file."""
    data = bytes(range(256)) * 10_000
    (tmp_path / "a.mp4").write_bytes(data)
    seen: list[int] = []
    assert await sha256_of(tmp_path / "a.mp4", seen.append) == hashlib.sha256(data).hexdigest()
    assert seen == sorted(seen)
    assert seen[-1] == len(data)


async def test_hashing_stops_when_its_caller_is_cancelled(tmp_path: Path) -> None:
    """Ctrl-C does not wait for the rest of a large file."""
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.truncate(64 << 30)  # sparse: reading all of it would take a minute
    seen: list[int] = []
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def progress(done: int) -> None:
        seen.append(done)
        loop.call_soon_threadsafe(begun.set)

    task = asyncio.create_task(sha256_of(path, progress))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await loop.shutdown_default_executor()  # hangs where the thread goes on
    assert seen[-1] < path.stat().st_size


def test_a_rewound_upload_counts_anew(tmp_path: Path) -> None:
    """A repeated upload shows its own progress."""
    (tmp_path / "a.mp4").write_bytes(b"x" * 100)
    seen: list[int] = []
    with CountingReader(tmp_path / "a.mp4", seen.append) as file:
        file.read(60)
        file.read(60)
        file.seek(0)
        file.read(10)
    assert seen == [60, 100, 10]
