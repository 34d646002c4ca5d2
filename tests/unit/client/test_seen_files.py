"""What is remembered of a watched folder's files, over restarts."""

import os
from pathlib import Path

import pytest

from castlist_client.submission.seen_files import SeenFile, SeenFiles, place_of
from castlist_client.submission.still_files import FileState

STATE = FileState(3, 10**18 + 1)


def seen(path: str, sha256: str = "a" * 64) -> SeenFile:
    return SeenFile(Path(path), STATE, sha256, "submitted")


def test_what_was_dealt_with_is_known_after_a_restart(tmp_path: Path) -> None:
    """As it was then; whatever its name is made of. A file that changed is another one."""
    place = tmp_path / "deep" / "folder.sqlite"
    odd = Path(os.fsdecode(b"caf\xe9 \xf0\x9f\x8e\xac.mp4"))
    first = SeenFiles(place)
    first.note(seen("a.mp4"))
    first.note(SeenFile(odd, STATE, "b" * 64, "refused"))
    first.close()
    again = SeenFiles(place)
    assert again.is_done(Path("a.mp4"), STATE)
    assert again.is_done(odd, STATE)
    assert not again.is_done(Path("a.mp4"), FileState(4, STATE.mtime_ns))
    assert not again.is_done(Path("a.mp4"), FileState(3, STATE.mtime_ns + 1))
    assert not again.is_done(Path("b.mp4"), STATE)
    again.close()


def test_what_vanishes_is_told_once_and_known_to_have_been_there(tmp_path: Path) -> None:
    """A file with the same bytes that turns up elsewhere has moved; one that comes back is no news."""
    files = SeenFiles(tmp_path / "folder.sqlite")
    files.note(seen("a.mp4"))
    assert files.moved_from(Path("c.mp4"), "a" * 64) is None
    assert [one.path for one in files.vanished([])] == [Path("a.mp4")]
    assert files.vanished([]) == []
    assert files.moved_from(Path("c.mp4"), "a" * 64) == Path("a.mp4")
    assert files.moved_from(Path("c.mp4"), "c" * 64) is None
    files.close()
    files = SeenFiles(tmp_path / "folder.sqlite")
    assert files.vanished([]) == []
    assert files.vanished([Path("a.mp4")]) == []
    assert files.is_done(Path("a.mp4"), STATE)
    assert [one.path for one in files.vanished([])] == [Path("a.mp4")]
    files.close()


def test_each_folder_gallery_and_server_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the folder really is, below the user's state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "link").symlink_to(tmp_path)
    place = place_of(tmp_path, "g", "http://a")
    assert place.is_relative_to(tmp_path / "state" / "castlist")
    assert place_of(tmp_path / "link", "g", "http://a") == place
    assert len({place, place_of(tmp_path, "h", "http://a"), place_of(tmp_path, "g", "http://b")}) == 3
