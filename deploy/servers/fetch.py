"""Fetch the servers into the per-user cache, and compare every file with the lock before it is used.

A file is hashed when it is new or when its size or time differs from the last comparison; otherwise a look at
both is enough, so that a start is not held up.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from deploy.errors import DeployError
from deploy.progress import Progress
from deploy.servers.lockfile import Jar, Package

_NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|name resolution|Connection refused"
    r"|Network is unreachable|No route to host|Max retries exceeded|Connection broken|Connection reset|timed out",
    re.IGNORECASE,
)
_WRONG_HASH = re.compile(r"DO NOT MATCH THE HASHES|Hash mismatch|checksum", re.IGNORECASE)


@contextlib.contextmanager
def cache_locked(cache: Path) -> Iterator[None]:
    """Only one process at a time fills the cache; a second one waits, and then finds it full."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def package(cache: Path, python: Callable[[], Path], item: Package) -> Path:
    """The folder with the unpacked members of `item`, fetched with the pip of `python()` where it is missing.

    Raises `DeployError`: no network, or a file that differs from the lock.
    """
    folder = cache / "packages" / f"{item.key}-{item.tree[:12]}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as temporary:
            archive = _download_package(python(), item, Path(temporary))
            unpacked = Path(temporary) / "unpacked"
            unpack(archive, item.prefix, unpacked)
            folder.parent.mkdir(exist_ok=True)
            os.replace(unpacked, folder)
    _compare(cache, folder, lambda: tree_digest(folder), item.tree, f"{item.name} {item.version}")
    return folder


def jars(cache: Path, python: Callable[[], Path], label: str, items: list[Jar]) -> list[Path]:
    """The paths of `items` in the cache, in their order, fetched with the jgo of `python()` where they are missing.

    Raises `DeployError`: no network, or a jar that differs from the lock.
    """
    folder = cache / "jars"
    missing = [jar for jar in items if not (folder / jar.cached_name).exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as temporary:
            _download_jars(python(), label, missing, Path(temporary))
            for jar in missing:
                came = Path(temporary).joinpath(*_maven_path(jar))
                _expect(jar.sha256, file_digest(came), jar.file, "as fetched; nothing of it was kept")
                os.replace(came, folder / jar.cached_name)
    paths = [folder / jar.cached_name for jar in items]
    for jar, path in zip(items, paths, strict=True):
        _compare(cache, path, lambda path=path: file_digest(path), jar.sha256, jar.file)  # type: ignore[misc]
    return paths


def run_pip(
    python: Path, arguments: list[str], what: str, watch: Callable[[], None] | None = None, tmp: str | None = None
) -> None:
    """Run pip of `python`, calling `watch` meanwhile. Raises `DeployError` with one line that says what is wrong."""
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", **({"TMPDIR": tmp} if tmp else {})}
    env.pop("PIP_REQUIRE_VIRTUALENV", None)
    command = [str(python), "-m", "pip", *arguments, "--retries", "2", "--progress-bar", "off"]
    with tempfile.TemporaryFile("w+") as output:
        running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
        wait_watching(running, watch)
        output.seek(0)
        text = output.read()
    if running.returncode:
        raise fetch_error(what, text)


def fetch_error(what: str, text: str) -> DeployError:
    """Which one line the output of a failed download comes to."""
    if _WRONG_HASH.search(text):
        return DeployError(f"{what}: wrong checksum: what came is not what the lock names; nothing of it was kept")
    if _NO_NETWORK.search(text):
        return DeployError(f"{what}: cannot be fetched: no network, or the package registry does not answer")
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["it said nothing"]
    return DeployError(f"{what}: cannot be fetched: {errors[-1].removeprefix('ERROR: ')}")


def wait_watching(running: "subprocess.Popen[str] | subprocess.Popen[bytes]", watch: Callable[[], None] | None) -> None:
    """Wait for `running`, calling `watch` ten times a second; it does not outlive an interrupt."""
    try:
        while running.poll() is None:
            if watch:
                watch()
            time.sleep(0.1)
    except BaseException:
        running.kill()
        running.wait()
        raise


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(folder: Path) -> str:
    """sha256 over the sorted relative names and digests of all files below `folder`."""
    total = hashlib.sha256()
    for path in _files(folder):
        total.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return total.hexdigest()


def _download_package(python: Path, item: Package, folder: Path) -> Path:
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{item.name}=={item.version} --hash=sha256:{item.sha256}\n")
    # For source, pip would run its setup.py only to learn what it depends on: the hash is compared before that.
    only = [f"--no-binary={item.name}"] if item.is_source else ["--only-binary=:all:", *_platforms(item.file)]
    arguments = ["download", "--no-deps", "--require-hashes", *only, "-d", str(folder), "-r", str(requirement)]
    with Progress(f"{item.key} ({item.name} {item.version})", item.size) as bar:
        run_pip(python, arguments, f"{item.name} {item.version}", lambda: bar.update(bytes_below(folder)), str(folder))
    archive = folder / item.file
    if not archive.exists():
        raise DeployError(f"{item.name} {item.version}: the package registry has no {item.file}")
    _expect(item.sha256, file_digest(archive), item.file, "as fetched; nothing of it was kept")
    return archive


def _platforms(file: str) -> list[str]:
    """pip's words for the one wheel we want, whatever Python runs pip."""
    python, abi, platform = file.removesuffix(".whl").split("-")[-3:]
    words = ["--implementation", python[:2], "--abi", abi]
    words += [word for name in platform.split(".") for word in ("--platform", name)]
    return words + (["--python-version", f"{python[2]}.{python[3:]}"] if python[2:] not in ("", "3") else [])


def unpack(archive: Path, prefix: str, into: Path) -> None:
    into.mkdir()
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            members = [info for info in wheel.infolist() if info.filename.startswith(prefix) and not info.is_dir()]
            for info in members:
                path = Path(wheel.extract(info, into))
                path.chmod((info.external_attr >> 16) & 0o755 | 0o644)
    else:
        with tarfile.open(archive) as source:
            top = source.getnames()[0].split("/")[0]
            wanted = [info for info in source.getmembers() if info.name.startswith(f"{top}/{prefix}") and info.isfile()]
            source.extractall(into, wanted, filter="data")
            inner = into / top
            for child in inner.iterdir():
                shutil.move(child, into)
            inner.rmdir()


def _download_jars(python: Path, label: str, missing: list[Jar], folder: Path) -> None:
    script = Path(__file__).parent / "jars.py"
    coordinates = "\n".join(jar.coordinate for jar in missing)
    with (
        Progress(f"{label} ({len(missing)} jars)", sum(jar.size for jar in missing)) as bar,
        tempfile.TemporaryFile("w+") as output,
    ):
        running = subprocess.Popen(
            [str(python), "-I", str(script), str(folder)],
            stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert running.stdin
        with contextlib.suppress(BrokenPipeError):
            running.stdin.write(coordinates)
            running.stdin.close()
        wait_watching(running, lambda: bar.update(bytes_below(folder)))
        output.seek(0)
        text = output.read()
    if running.returncode:
        raise fetch_error(label, text)


def _maven_path(jar: Jar) -> tuple[str, ...]:
    group, artifact, version = jar.coordinate.split(":")
    return (*group.split("."), artifact, version, jar.file)


def _compare(cache: Path, path: Path, digest: Callable[[], str], expected: str, what: str) -> None:
    stamp = cache / "compared" / path.name
    now = json.dumps([expected, [[str(p.relative_to(path)), s.st_size, s.st_mtime_ns] for p, s in _stats(path)]])
    with contextlib.suppress(FileNotFoundError):
        if stamp.read_text() == now:
            return
    _expect(expected, digest(), what, f"in {path}; delete it to have it fetched again")
    stamp.parent.mkdir(exist_ok=True)
    partial = stamp.with_name(f".{stamp.name}.{os.getpid()}")
    partial.write_text(now)
    os.replace(partial, stamp)


def _expect(expected: str, got: str, what: str, where: str) -> None:
    if got != expected:
        raise DeployError(f"{what}: wrong checksum: sha256 {got[:16]}… instead of {expected[:16]}… {where}")


def _files(path: Path) -> Iterable[Path]:
    return sorted(found for found in path.rglob("*") if found.is_file()) if path.is_dir() else [path]


def _stats(path: Path) -> list[tuple[Path, os.stat_result]]:
    return [(found, found.stat()) for found in _files(path)]


def bytes_below(folder: Path) -> int:
    """Bytes below `folder` now, while others make and remove files in it."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size
    return total
