"""The Java runtime of the two servers that need one."""

from collections.abc import Callable
from pathlib import Path

from deploy.servers import fetch
from deploy.servers.lockfile import read_lock


def java(cache: Path, python: Callable[[], Path]) -> Path:
    """The `java` of the cache (`python`: the tools' interpreter, asked for only when something must be fetched)."""
    item = read_lock().packages["java"]
    return fetch.package(cache, python, item) / item.prefix / "bin" / "java"


def classpath(cache: Path, python: Callable[[], Path], name: str) -> str:
    """The jars the lock lists for `name`, as Java's `-cp` takes them."""
    return ":".join(str(path) for path in fetch.jars(cache, python, name, read_lock().jars[name]))
