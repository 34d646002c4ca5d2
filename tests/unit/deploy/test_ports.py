"""Free ports are free, taken ones are recognised, and the one who holds them is named."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.commands.up import choose_ports
from deploy.config import PORTS, load_config
from deploy.errors import DeployError
from deploy.supervision.home import Home, Kept
from deploy.supervision.ports import answers, free_port, holder, is_free


def test_a_listening_port_is_taken_and_its_holder_named() -> None:
    """The message about a port in use can say who has it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert answers("127.0.0.1", port)
        assert (holder(port) or "").startswith(f"{os.getpid()} (")
    assert is_free("127.0.0.1", port)
    assert not answers("127.0.0.1", port)


def test_free_ports_avoid_those_already_chosen() -> None:
    """Ports chosen for one stack before any of them listens differ from each other."""
    taken: set[int] = set()
    for _ in range(50):
        port = free_port(taken)
        assert port not in taken
        taken.add(port)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A stack's folder."""
    home = Home(tmp_path)
    home.make()
    return home


def test_a_port_that_was_asked_for_and_is_in_use_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """It names the port, the service, who holds it and the setting that moves it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for setting in PORTS:
            monkeypatch.setenv(setting, str(free_port() if setting != "INGEST_PORT" else port))
        with pytest.raises(DeployError) as refused:
            choose_ports(load_config(), home, lambda line: None)
    message = str(refused.value)
    assert message.startswith(f"port {port} of ingest is in use by process {os.getpid()} (")
    assert message.endswith("set INGEST_PORT to another one")


def test_a_default_port_in_use_gives_way_to_a_free_one(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """Which is said, and kept for the next time; where the default is free again, it is the default again."""
    lines: list[str] = []
    for setting in PORTS:
        monkeypatch.delenv(setting, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        free = {name: free_port() for name in PORTS}
        config = replace(load_config(), ports={**free, "QUERY_PORT": port})
        first = choose_ports(config, home, lines.append)
        second = choose_ports(config, home, lines.append)
    assert first == second
    assert first.ports["QUERY_PORT"] not in (port, *free.values())
    assert {name: port for name, port in first.ports.items() if name != "QUERY_PORT"} == {
        name: port for name, port in free.items() if name != "QUERY_PORT"
    }
    assert lines[0].endswith(f"this stack takes {first.ports['QUERY_PORT']}")
    assert f"port {port} of query-api is in use by process {os.getpid()} (" in lines[0]
    assert choose_ports(config, home, lines.append).ports == config.ports


def test_a_home_keeps_its_ports_and_keys(tmp_path: Path) -> None:
    """The next run finds the servers where their data say they are, unless somebody took the port meanwhile."""
    home = Home(tmp_path)
    home.make()
    first = Kept.load(home)
    port = first.choose_port("mongod", set())
    first.save(home)
    again = Kept.load(home)
    assert again.choose_port("mongod", set()) == port
    assert (again.secret_key, again.cluster_id) == (first.secret_key, first.cluster_id)
    with socket.create_server(("127.0.0.1", port)):
        assert again.choose_port("mongod", set()) != port
