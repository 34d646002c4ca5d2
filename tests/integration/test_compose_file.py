"""docker-compose.yml: what it says, and that the Kafka it describes lets in whom it says. Its images are not pulled."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.kafka.topics import TopicSettings, create_topics
from castlist.contract.topics import TOPICS
from castlist.ports.errors import UnavailableError
from deploy.config import load_config
from deploy.servers.java import classpath, java
from deploy.servers.kafka import KafkaServer, has_broker
from deploy.supervision.ports import free_port
from deploy.supervision.process import Process
from deploy.tools import tools_python
from testkit import compose_file
from testkit.eventually import eventually
from testkit.own_service import own_service
from testkit.own_storage import own_bucket, own_database
from testkit.running_stack import RunningStack
from testkit.source import ROOT

OURS = {"ingest", "query-api", "frame-workers", "profile-aggregator"}
SERVERS = {"kafka", "mongo", "minio"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The file as Compose reads it."""
    return compose_file.read(tmp_path_factory.mktemp("compose"))


def test_only_the_two_apis_and_the_dashboard_are_published_and_only_here(project: dict[str, Any]) -> None:
    """On loopback, and the servers not at all."""
    published = {
        (name, port["host_ip"], port["target"])
        for name, service in project["services"].items()
        for port in service.get("ports", ())
    }
    here = "127.0.0.1"
    assert published == {("ingest", here, 50001), ("query-api", here, 56667), ("grafana", here, 3000)}
    assert project["networks"]["inside"]["internal"] is True
    for name in SERVERS | OURS - {"ingest", "query-api"}:
        assert set(project["services"][name]["networks"]) == {"inside"}, name


def test_everything_that_runs_is_bounded_and_comes_back(project: dict[str, Any]) -> None:
    """A memory limit and a restart policy each; ours write nowhere but to their volumes, and have no privileges."""
    for name, service in project["services"].items():
        if service.get("profiles") != ["build"]:
            assert service["mem_limit"], name
            assert service["restart"] in ("unless-stopped", "on-failure:5"), name
    for name in OURS:
        service = project["services"][name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert any(volume["target"] == "/var/lib/castlist" for volume in service["volumes"]), name


def test_there_may_be_several_frame_workers(project: dict[str, Any]) -> None:
    """`--scale` starts more of them: nothing of theirs is there once, neither a name, nor a port, nor a volume."""
    service = project["services"]["frame-workers"]
    assert not service.keys() & {"container_name", "hostname", "ports"}
    assert [volume.get("source", "") for volume in service["volumes"]] == [""]


def test_services_wait_for_what_prepares_the_servers_and_that_for_healthy_servers(project: dict[str, Any]) -> None:
    """No service before topics, bucket, indexes and migrations are there."""
    services = project["services"]
    for name in OURS:
        assert services[name]["depends_on"]["init"]["condition"] == "service_completed_successfully", name
    waits = {name: wait["condition"] for name, wait in services["init"]["depends_on"].items()}
    assert waits == dict.fromkeys(SERVERS, "service_healthy")
    for name in SERVERS:
        assert services[name]["healthcheck"]["test"], name


def test_no_password_stands_in_the_file() -> None:
    """Each is asked for, so that nothing comes up under one that everybody knows."""
    settings = re.findall(
        r"^ +(\w*(?:PASSWORD|SECRET|KEY)\w*): *(.*)$", (ROOT / "docker-compose.yml").read_text(), re.M
    )
    secret = {name: value for name, value in settings if name != "S3_ACCESS_KEY"}
    assert len(secret) >= 5
    for name, value in secret.items():
        assert re.fullmatch(r"\$\{\w+:\?[^}]*\}", value), name


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[int]:
    """The port of a Kafka with the settings that the file gives to its image, at other addresses."""
    told = yaml.safe_load(compose_file.text())["services"]["kafka"]["environment"]
    port, local, controller = free_port(), free_port(), free_port()
    places = {
        "//:9092": f"//127.0.0.1:{port}",
        "kafka:9092": f"127.0.0.1:{port}",
        "localhost:9094": f"127.0.0.1:{local}",
    }
    places |= {"localhost:9093": f"127.0.0.1:{controller}", "/var/lib/kafka/data": str(tmp_path / "data")}
    lines = []
    for name, value in told.items():
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS":
            text = str(value)
            for former, place in places.items():
                text = text.replace(former, place)
            lines.append(f"{name.removeprefix('KAFKA_').replace('_', '.').lower()}={text}\n")
    config = load_config()
    tools = partial(tools_python, config.cache, "tools")
    server = KafkaServer(
        java(config.cache, tools), classpath(config.cache, tools, "kafka"), tmp_path / "data", tmp_path, port,
        controller, told["CLUSTER_ID"], "".join(lines),
    )  # fmt: skip
    (tmp_path / "logs").mkdir()
    process = Process(server.spec(), tmp_path / "logs")
    process.start()
    try:
        eventually(lambda: has_broker("127.0.0.1", local))
        yield port
    finally:
        process.stop()


@pytest.fixture
def database_name(stack: RunningStack) -> Iterator[str]:
    """A database of this test's own."""
    with own_database(stack, "sasl") as name:
        yield name


@pytest.mark.stack
async def test_its_kafka_lets_in_who_has_the_password(kafka: int, stack: RunningStack, database_name: str) -> None:
    """Every way in that a service has: administration, publishing, reading, and the aggregator's through Faust."""
    right = f"castlist:{compose_file.SECRET}@127.0.0.1:{kafka}"
    for wrong in (f"127.0.0.1:{kafka}", f"castlist:guessed@127.0.0.1:{kafka}"):
        publisher = KafkaPublisher(wrong)
        with pytest.raises(UnavailableError):
            await publisher.ping()
        await publisher.close()
    await create_topics(right, TopicSettings(4))
    publisher = KafkaPublisher(right)
    await publisher.ping()
    await publisher.publish_raw(TOPICS[0].name, b"key", b"no event")
    await publisher.close()
    async with own_bucket(stack) as objects:
        told = {"KAFKA_BOOTSTRAP": right, "MONGO_DATABASE": database_name, "S3_BUCKET": objects.bucket}
        with own_service("profile_aggregator", "AGGREGATOR_PORT", **told):
            pass  # ready says that Faust has partitions
