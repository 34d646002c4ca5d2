"""What a stack is told from outside: the environment, and `.env` in the repository's root below it."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.errors import DeployError

ROOT = Path(__file__).resolve().parent.parent

PORTS = {"INGEST_PORT": 50001, "QUERY_PORT": 56667, "WORKERS_PORT": 50002, "AGGREGATOR_PORT": 50003}


@dataclass(frozen=True)
class Config:
    """Settings of one stack. An address that is `None` belongs to a server that is started here.

    `asked`: the ports that were asked for; another one may be taken in the place of a default.
    """

    home: Path
    cache: Path
    bind_host: str
    ports: dict[str, int]
    kafka_bootstrap: str | None
    mongo_url: str | None
    s3_endpoint: str | None
    s3_access_key: str | None
    s3_secret_key: str | None
    asked: frozenset[str] = frozenset(PORTS)

    @property
    def venv(self) -> Path:
        return ROOT / ".venv"

    def without_given_servers(self) -> "Config":
        return replace(
            self, kafka_bootstrap=None, mongo_url=None, s3_endpoint=None, s3_access_key=None, s3_secret_key=None
        )


def read_dotenv(path: Path) -> dict[str, str]:
    """`NAME=value` lines of `path`; comments, `export` and one pair of quotes are taken off. No file: nothing."""
    values: dict[str, str] = {}
    if not path.is_file():
        return values
    for line in path.read_text("utf-8").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or name.startswith("#"):
            continue
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name.strip()] = value
    return values


def load_dotenv() -> None:
    """Put `.env` of the repository under the environment: what is set already wins."""
    for name, value in read_dotenv(ROOT / ".env").items():
        os.environ.setdefault(name, value)


def load_config() -> Config:
    """The settings now in the environment.

    Raises `DeployError` where a port is not one.
    """
    env = os.environ
    ports = {name: _port(name, env.get(name), default) for name, default in PORTS.items()}
    cache_base = env.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Config(
        home=Path(env.get("CASTLIST_HOME") or ROOT / ".castlist").expanduser().absolute(),
        cache=Path(env.get("CASTLIST_CACHE") or Path(cache_base) / "castlist").expanduser().absolute(),
        bind_host=env.get("BIND_HOST") or "127.0.0.1",
        ports=ports,
        kafka_bootstrap=env.get("KAFKA_BOOTSTRAP") or None,
        mongo_url=env.get("MONGO_URL") or None,
        s3_endpoint=env.get("S3_ENDPOINT") or None,
        s3_access_key=env.get("S3_ACCESS_KEY") or None,
        s3_secret_key=env.get("S3_SECRET_KEY") or None,
        asked=frozenset(name for name in PORTS if env.get(name)),
    )


def _port(name: str, value: str | None, default: int) -> int:
    if not value:
        return default
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise DeployError(f"{name} is {value!r}, not a port (1 to 65535)")
    return int(value)
