"""What one stack consists of: which servers are started or given, on which ports, and what the services are told."""

import importlib.util
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from deploy.config import Config
from deploy.servers.fetch import cache_locked
from deploy.servers.java import classpath, java
from deploy.servers.kafka import KafkaServer
from deploy.servers.mongod import MongoServer, fetch_mongod
from deploy.servers.s3 import S3Server
from deploy.supervision.home import Home, Kept
from deploy.supervision.process import Spec
from deploy.supervision.services import service_specs
from deploy.tools import tools_python

BUCKET = "castlist"
REGION = "us-east-1"


@dataclass
class Stack:
    """The processes in order of start, the addresses that were given, and the settings that lead to all of them."""

    servers: list[Spec] = field(default_factory=list)
    services: list[Spec] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    init: list[str] | None = None


def fetch_servers(config: Config) -> None:
    """Have everything in the cache that the stack of `config` starts, compared with the lock.

    Raises `DeployError`: no network, a wrong checksum, a server that does not run on this system.
    """
    python = partial(tools_python, config.cache, "tools")
    plain_pip = partial(tools_python, config.cache)
    with cache_locked(config.cache):
        if not config.kafka_bootstrap or not config.s3_endpoint:
            java(config.cache, plain_pip)
        if not config.kafka_bootstrap:
            classpath(config.cache, python, "kafka")
        if not config.s3_endpoint:
            classpath(config.cache, python, "s3proxy")
        if not config.mongo_url:
            fetch_mongod(config.cache, plain_pip)


def plan_stack(config: Config, home: Home, python: Path, servers_only: bool = False) -> Stack:
    """Settle ports and keys (kept in `home`) and describe every process. Expects the servers in the cache."""
    stack, kept = Stack(), Kept.load(home)
    tools = partial(tools_python, config.cache, "tools")
    avoid = set(config.ports.values())
    kafka, mongo, s3 = config.kafka_bootstrap, config.mongo_url, config.s3_endpoint
    access_key, secret_key = config.s3_access_key, config.s3_secret_key
    if kafka:
        stack.given["kafka"] = kafka.rpartition("@")[2]
    else:
        server = KafkaServer(
            java(config.cache, tools), classpath(config.cache, tools, "kafka"), home.data / "kafka", home.run,
            kept.choose_port("kafka", avoid), kept.choose_port("kafka-controller", avoid), kept.cluster_id,
        )  # fmt: skip
        stack.servers.append(server.spec())
        kafka = f"127.0.0.1:{server.port}"
    if mongo:
        stack.given["mongod"] = mongo.rpartition("@")[2]
    else:
        binary, libraries = fetch_mongod(config.cache, tools)
        mongod = MongoServer(binary, libraries, home.data / "mongod", kept.choose_port("mongod", avoid))
        stack.servers.append(mongod.spec())
        mongo = mongod.url
    if s3:
        stack.given["s3"] = s3
    else:
        access_key, secret_key = kept.access_key, kept.secret_key
        store = S3Server(
            java(config.cache, tools), classpath(config.cache, tools, "s3proxy"), home.data / "s3", home.run,
            kept.choose_port("s3", avoid), access_key, secret_key,
        )  # fmt: skip
        stack.servers.append(store.spec())
        s3 = store.endpoint
    kept.save(home)
    stack.env = {
        "KAFKA_BOOTSTRAP": kafka,
        "MONGO_URL": mongo,
        "S3_ENDPOINT": s3,
        "S3_ACCESS_KEY": access_key or "",
        "S3_SECRET_KEY": secret_key or "",
        "CASTLIST_HOME": str(config.home),
        "CASTLIST_CACHE": str(config.cache),
        "BIND_HOST": config.bind_host,
        **{name: str(port) for name, port in config.ports.items()},
        "CHUNK_PARTITIONS": os.environ.get("CHUNK_PARTITIONS") or str(chunk_partitions()),
    }
    if importlib.util.find_spec("castlist.admin"):
        stack.init = [str(python), "-m", "castlist.admin", "init"]
    if not servers_only:
        env = {**stack.env, "PYTHONUNBUFFERED": "1"}
        stack.services = service_specs(python, config.bind_host, config.ports, env)
    return stack


def chunk_partitions() -> int:
    """Partitions of `video.chunks` when it is created: four a worker slot, so that none runs dry beside a queue."""
    slots = os.environ.get("WORKERS", "")
    return max(16, 4 * (int(slots) if slots.isdecimal() else len(os.sched_getaffinity(0))))


def public_addresses(config: Config) -> dict[str, str]:
    """Where people and tests find the two services that are for them."""
    host = "127.0.0.1" if config.bind_host in ("0.0.0.0", "::") else config.bind_host
    return {
        "INGEST_URL": f"http://{host}:{config.ports['INGEST_PORT']}",
        "QUERY_URL": f"http://{host}:{config.ports['QUERY_PORT']}",
    }
