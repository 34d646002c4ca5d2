"""`--docker`: the same commands, on the containers of `docker-compose.yml`."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from deploy.config import ROOT, Config, read_dotenv
from deploy.errors import DeployError
from deploy.supervision.home import write_atomically
from deploy.supervision.ports import free_port

ACCOUNTS = (
    "KAFKA_PASSWORD", "MONGO_PASSWORD", "MONGO_ROOT_PASSWORD", "MONGO_KEY", "S3_SECRET_KEY", "GRAFANA_PASSWORD"
)  # fmt: skip
"""What the compose file asks for and nobody should have to think of."""
PATIENCE = 300.0
_SERVICES = ("profile-aggregator", "frame-workers", "query-api", "ingest")


class Containers:
    """One project of Docker Compose: its containers, volumes and addresses.

    Raises `DeployError` where there is no Docker, or no Compose.
    """

    def __init__(self, ports: dict[str, int], project: str | None = None) -> None:
        if not shutil.which("docker"):
            raise DeployError("there is no docker on PATH; without --docker nothing but Python is needed")
        if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
            raise DeployError("this docker has no compose plugin; without --docker nothing but Python is needed")
        self._words = ["docker", "compose", "-f", "docker-compose.yml", *(["-p", project] if project else [])]
        self._env = {**os.environ, **{name: str(ports[name]) for name in ("INGEST_PORT", "QUERY_PORT")}}
        here = os.environ.get("PUBLISH_HOST") or "127.0.0.1"
        host = "127.0.0.1" if here in ("0.0.0.0", "::") else here
        self.urls = {
            "INGEST_URL": f"http://{host}:{ports['INGEST_PORT']}",
            "QUERY_URL": f"http://{host}:{ports['QUERY_PORT']}",
        }

    def bring_up(self) -> None:
        """Build the images, or pull them from where `CASTLIST_IMAGES` says; prepare the servers; start all; wait."""
        self._env |= accounts(ROOT / ".env")
        if os.environ.get("CASTLIST_IMAGES"):
            self._run("pull")
        else:
            self._run("build", "dlib")  # what others of the images stand on
            self._run("build")
        self._run("up", "--detach")
        self._wait()

    def run(self, *words: str) -> int:
        """Hand `words` to Compose, and return its exit code."""
        self._env |= accounts(ROOT / ".env")
        return subprocess.run([*self._words, *words], cwd=ROOT, env=self._env).returncode

    def _run(self, *words: str) -> None:
        if self.run(*words):
            raise DeployError(f"docker compose {words[0]} failed, its reason is above")

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while waiting := self._not_ready():
            if time.monotonic() > until:
                raise DeployError(f"{', '.join(waiting)}: not ready after {PATIENCE:.0f} s; `logs --docker` has more")
            time.sleep(1)

    def _not_ready(self) -> list[str]:
        """Those of the services that are not healthy, and the addresses that do not answer."""
        done = subprocess.run(
            [*self._words, "ps", "--format", "json"], cwd=ROOT, env=self._env, capture_output=True, text=True
        )
        healthy = {row["Service"] for row in rows_of(done.stdout) if row.get("Health") == "healthy"}
        return [name for name in _SERVICES if name not in healthy] or [
            url for url in self.urls.values() if not _answers(url)
        ]


def rows_of(text: str) -> list[dict[str, str]]:
    """What `compose ps --format json` prints: one list, or an object a line, as its versions differ."""
    if text.lstrip().startswith("["):
        return list(json.loads(text))
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def accounts(path: Path) -> dict[str, str]:
    """The passwords in the environment or `path`; those that are in neither are made up and written to `path`."""
    known = {**read_dotenv(path), **os.environ}
    missing = {name: secrets.token_hex(20) for name in ACCOUNTS if not known.get(name)}
    if missing:
        former = path.read_text("utf-8") if path.is_file() else ""
        if former and not former.endswith("\n"):
            former += "\n"
        write_atomically(path, former + "".join(f"{name}={value}\n" for name, value in missing.items()))
        print(f"accounts: {', '.join(missing)} made up and kept in {path}", file=sys.stderr)
    return {**{name: known.get(name, "") for name in ACCOUNTS}, **missing}


@contextlib.contextmanager
def temporary_containers(purpose: str) -> Iterator[Containers]:
    """A fresh project on free ports; it is taken away with its volumes in the end."""
    ports = {"INGEST_PORT": (first := free_port()), "QUERY_PORT": free_port({first})}
    containers = Containers(ports, f"castlist-{purpose}-{secrets.token_hex(3)}")
    try:
        containers.bring_up()
        yield containers
    except BaseException:
        containers.run("logs", "--tail", "100")
        raise
    finally:
        containers.run("down", "--volumes", "--timeout", "20")


def up(config: Config, detach: bool) -> int:
    """Bring all up; in the foreground show the logs until Ctrl-C, which stops the containers."""
    containers = Containers(config.ports)
    containers.bring_up()
    for name, url in containers.urls.items():
        print(f"{name.removesuffix('_URL').lower():<8} {url}")
    if detach:
        return 0
    try:
        return containers.run("logs", "--follow", "--tail", "20")
    finally:
        containers.run("stop")


def down(config: Config) -> int:
    """Take the containers away; the volumes stay."""
    return Containers(config.ports).run("down")


def status(config: Config, as_json: bool) -> int:
    """What runs."""
    return Containers(config.ports).run("ps", "--all", *(["--format", "json"] if as_json else []))


def logs(config: Config, name: str | None, follow: bool, lines: int) -> int:
    """What they have logged."""
    options = ["--tail", str(lines), *(["--follow"] if follow else []), *([name] if name else [])]
    return Containers(config.ports).run("logs", *options)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
