"""`locks/servers.toml`: every file of the servers by name, size and sha256. It holds no address."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SERVERS_LOCK = Path(__file__).parent.parent / "locks" / "servers.toml"


@dataclass(frozen=True)
class Package:
    """A file of the Python package index, of which the members under `prefix` are unpacked.

    `tree` is the digest of what was unpacked (`fetch.tree_digest`), so that a change in the cache is seen.
    """

    key: str
    name: str
    version: str
    file: str
    size: int
    sha256: str
    prefix: str
    tree: str

    @property
    def is_source(self) -> bool:
        return not self.file.endswith(".whl")


@dataclass(frozen=True)
class Jar:
    """One jar of a Maven repository. `coordinate` is `group:artifact:version`."""

    coordinate: str
    size: int
    sha256: str

    @property
    def file(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"

    @property
    def cached_name(self) -> str:
        # Two groups may have an artifact of one name and version.
        return f"{self.sha256[:12]}-{self.file}"


@dataclass(frozen=True)
class ServersLock:
    packages: dict[str, Package]
    jars: dict[str, list[Jar]]


@cache
def read_lock(path: Path = SERVERS_LOCK) -> ServersLock:
    content = tomllib.loads(path.read_text("utf-8"))
    packages = {key: Package(key=key, **fields) for key, fields in content["package"].items()}
    jars = {name: [Jar(**fields) for fields in entries] for name, entries in content["jars"].items()}
    return ServersLock(packages, jars)
