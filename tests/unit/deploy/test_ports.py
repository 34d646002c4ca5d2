"""Free ports are free, taken ones are recognised, and the one who holds them is named."""

import os
import socket
from pathlib import Path

import pytest

from deploy.commands.up import require_ports
from deploy.config import load_config
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


def test_a_service_port_in_use_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the port, the service, who holds it and the setting that moves it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("INGEST_PORT", str(port))
        for name in ("QUERY_PORT", "WORKERS_PORT", "AGGREGATOR_PORT"):
            monkeypatch.setenv(name, str(free_port()))
        with pytest.raises(DeployError) as raised:
            require_ports(load_config())
    message = str(raised.value)
    assert f"port {port} of ingest is in use by process {os.getpid()}" in message
    assert "set INGEST_PORT" in message
    assert "\n" not in message


@pytest.mark.parametrize("value", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The setting's name and value are in the message."""
    monkeypatch.setenv("QUERY_PORT", value)
    with pytest.raises(DeployError, match=f"QUERY_PORT is '{value}'"):
        load_config()


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
