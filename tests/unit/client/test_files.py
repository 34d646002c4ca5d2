"""Which files a client puts in."""

import asyncio
import hashlib
import os
import re
from pathlib import Path

import pytest

from castlist_client.submission.files import CollectedFiles, CountingReader, collect, sha256_of

TRANSPORT_STREAM = (b"\x47\x40\x00\x10" + bytes(184)) * 8


def _make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def _left_out(found: CollectedFiles, folder: Path) -> dict[str, str]:
    return {str(one.path.relative_to(folder)): one.reason for one in found.left_out}


def test_a_folder_gives_its_videos_and_names_the_rest(tmp_path: Path) -> None:
    """Names decide, whatever their case; what is hidden is not looked through."""
    _make(tmp_path, "b.mp4", "a/c.MKV", "notes.txt", "a/cover.jpg", ".hidden.mp4", ".cache/x.mp4", ".DS_Store")
    (tmp_path / "a/cover.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(90))
    found = collect([str(tmp_path)])
    assert [path.relative_to(tmp_path) for path in found.files] == [Path("b.mp4"), Path("a/c.MKV")]
    assert _left_out(found, tmp_path) == {
        ".cache": "a hidden folder",
        ".hidden.mp4": "hidden",
        "a/cover.jpg": "a JPEG picture",
        "notes.txt": "text",
    }
    assert found.skipped == 4


@pytest.mark.parametrize(
    "suffix", ["wmv", "ASF", "ogv", "mxf", "m2t", "mpe", "MPG", "264", "hevc", "ivf", "rmvb", "dav"]
)
def test_the_names_of_every_format_are_known(suffix: str, tmp_path: Path) -> None:
    """By the list of what is read, in any case."""
    _make(tmp_path, f"clip.{suffix}")
    assert len(collect([str(tmp_path)]).files) == 1


@pytest.mark.parametrize("name", ["MOV001.MOD", "recording", "disc.dat", "camera.ts", "x.txt", "00001.bin"])
def test_content_decides_where_the_name_says_nothing(name: str, tmp_path: Path) -> None:
    """A camcorder's, a recorder's or no suffix; and what else goes by such a name is left out."""
    _make(tmp_path, f"other/{name}")
    (tmp_path / name).write_bytes(TRANSPORT_STREAM)
    found = collect([str(tmp_path)])
    assert found.files == (tmp_path / name,)
    assert _left_out(found, tmp_path) == {f"other/{name}": "text"}


def test_linked_folders_are_looked_through_once(tmp_path: Path) -> None:
    """On another disk, in a circle, twice: each video comes out once."""
    _make(tmp_path, "disk/day/a.mp4", "here/b.mp4")
    here = tmp_path / "here"
    (here / "archive").symlink_to(tmp_path / "disk")
    (here / "again").symlink_to(tmp_path / "disk" / "day")
    (here / "circle").symlink_to(here)
    (tmp_path / "disk" / "back").symlink_to(here)
    found = collect([str(here)])
    assert sorted(path.name for path in found.files) == ["a.mp4", "b.mp4"]
    assert found.left_out == ()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A link to nothing, one to itself, and a pipe stop nothing."""
    _make(tmp_path, "a.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    os.mkfifo(tmp_path / "pipe.mp4")
    found = collect([str(tmp_path)])
    assert found.files == (tmp_path / "a.mp4",)
    assert _left_out(found, tmp_path) == {
        "gone.mp4": "a link to nothing",
        "itself": "a link to nothing",
        "pipe.mp4": "not a file",
    }


def test_names_of_any_bytes_are_taken(tmp_path: Path) -> None:
    """An old camera's names are no UTF-8."""
    for name in (b"caf\xe9.mp4", b"caf\xe9 notes"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"hello")
    found = collect([str(tmp_path)])
    assert [os.fsencode(path.name) for path in found.files] == [b"caf\xe9.mp4"]
    assert [os.fsencode(one.path.name) for one in found.left_out] == [b"caf\xe9 notes"]


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
