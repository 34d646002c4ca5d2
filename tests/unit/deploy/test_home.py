"""The home of a stack: nobody but its user may read it."""

import os
from pathlib import Path

from deploy.supervision.home import FOR_OTHERS, Home, write_atomically


def open_to_others(root: Path) -> list[str]:
    """What below `root`, itself included, others may do anything with."""
    found = [root, *root.rglob("*")]
    return [
        str(path.relative_to(root)) for path in found if path.lstat().st_mode & FOR_OTHERS and not path.is_symlink()
    ]


def test_a_new_home_is_private(tmp_path: Path) -> None:
    """Whatever the shell's umask is; what is written into it later, too."""
    former = os.umask(0o000)
    try:
        home = Home(tmp_path / "home")
        home.make()
        write_atomically(home.state, "{}")
    finally:
        os.umask(former)
    assert open_to_others(home.root) == []


def test_a_home_of_before_is_closed_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Data, logs and state; what leads elsewhere, and what is not of the home, stays as it is."""
    home, elsewhere, mine = Home(tmp_path / "home"), tmp_path / "elsewhere", tmp_path / "home" / "notes"
    for folder in (home.data / "kafka" / "video.uploaded-0", home.logs, elsewhere, mine):
        folder.mkdir(parents=True)
    for file in (home.data / "kafka" / "video.uploaded-0" / "0.log", home.logs / "ingest.log", elsewhere / "file"):
        file.write_text("content")
        file.chmod(0o644)
    (home.data / "link").symlink_to(elsewhere)
    home.make()
    assert home.root.stat().st_mode & 0o777 == 0o700
    assert open_to_others(home.data) == open_to_others(home.logs) == open_to_others(home.run) == []
    assert (home.data / "kafka" / "video.uploaded-0" / "0.log").stat().st_mode & 0o777 == 0o600
    assert elsewhere.stat().st_mode & (elsewhere / "file").stat().st_mode & 0o044 == 0o044
    assert mine.stat().st_mode & 0o055
