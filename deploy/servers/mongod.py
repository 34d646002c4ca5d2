"""MongoDB as a replica set of one node: transactions need a set."""

import ctypes
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.errors import DeployError
from deploy.servers import fetch
from deploy.servers.lockfile import read_lock
from deploy.supervision.ports import answers
from deploy.supervision.process import Spec

SET = "castlist"


@dataclass(frozen=True)
class MongoServer:
    binary: Path
    libraries: list[Path]
    data: Path
    port: int

    @property
    def url(self) -> str:
        # By the set's name, not `directConnection`: the driver then waits for the election after a restart.
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={SET}"

    def spec(self) -> Spec:
        return Spec(
            name="mongod",
            argv=[
                str(self.binary), "--replSet", SET, "--bind_ip", "127.0.0.1", "--port", str(self.port),
                "--dbpath", str(self.data), "--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "256",
                # A process killed inside a transaction holds up everyone else on its documents for so long.
                "--setParameter", "transactionLifetimeLimitSeconds=3",
                "--nounixsocket", "--quiet",
            ],
            port=self.port,
            address=f"127.0.0.1:{self.port}",
            ready=lambda: answers("127.0.0.1", self.port) and _is_primary(self.port),
            env=library_path(self.libraries),
            prepare=lambda: self.data.mkdir(parents=True, exist_ok=True),
            grace=20.0,
        )  # fmt: skip


def fetch_mongod(cache: Path, python: Callable[[], Path]) -> tuple[Path, list[Path]]:
    """mongod, and the folders with the libraries it wants that this system does not have.

    Raises `DeployError` when it does not run here, with the loader's reason.
    """
    lock = read_lock()
    item = lock.packages["mongod"]
    binary = fetch.package(cache, python, item) / item.prefix
    libraries = []
    if not _loads("libssl.so.1.1"):
        item = lock.packages["openssl"]
        libraries.append((fetch.package(cache, python, item) / item.prefix).parent)
    if not _loads("libcurl.so.4"):
        item = lock.packages["curl"]
        bundled = fetch.package(cache, python, item) / item.prefix
        libraries += [_named_as_wanted(cache, bundled, "libcurl"), bundled]
    binary.chmod(0o755)
    tried = subprocess.run(
        [str(binary), "--version"], capture_output=True, text=True, env={**os.environ, **library_path(libraries)}
    )
    if tried.returncode:
        reason = (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]
        raise DeployError(f"mongod does not run here: {reason}")
    return binary, libraries


def library_path(libraries: list[Path]) -> dict[str, str]:
    return {"LD_LIBRARY_PATH": ":".join(str(folder) for folder in libraries)} if libraries else {}


def _named_as_wanted(cache: Path, bundled: Path, name: str) -> Path:
    """A folder that leads from a library's own name to the one a wheel gave it (`libcurl-330bcbb6.so.4.8.0`)."""
    (library,) = bundled.glob(f"{name}-*.so.*")
    folder = cache / "links" / library.name
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / f"{name}.so.{library.name.split('.so.')[1].split('.')[0]}"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(library)
    return folder


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _is_primary(port: int) -> bool:
    """True once the node leads its set.

    Makes the set where there is none, and renames its node where the port is another than last time.
    """
    from pymongo import MongoClient  # only there when .venv stands
    from pymongo.errors import OperationFailure, PyMongoError

    address = f"127.0.0.1:{port}"
    try:
        with MongoClient[dict[str, Any]](
            f"mongodb://{address}/", directConnection=True, serverSelectionTimeoutMS=800, socketTimeoutMS=5000
        ) as client:
            if client.admin.command("hello").get("isWritablePrimary"):
                return True
            try:
                settings = client.admin.command("replSetGetConfig")["config"]
            except OperationFailure as error:
                if error.code == 94:  # NotYetInitialized
                    client.admin.command("replSetInitiate", {"_id": SET, "members": [{"_id": 0, "host": address}]})
                return False
            if settings["members"][0]["host"] != address:
                settings["members"][0]["host"] = address
                settings["version"] += 1
                client.admin.command("replSetReconfig", settings, force=True)
    except PyMongoError:
        pass
    return False
