"""What a stack is told from outside."""

from pathlib import Path

import pytest

from deploy.config import PORTS, ROOT, load_config, read_dotenv


def test_dotenv_lines_are_read_as_a_shell_would(tmp_path: Path) -> None:
    """Comments, blank lines, `export` and quotes; a value may hold an equals sign."""
    file = tmp_path / ".env"
    file.write_text("# a comment\n\nexport A=1\nB='two words'\nMONGO_URL=\"mongodb://h/?replicaSet=x\"\nnonsense\n")
    assert read_dotenv(file) == {"A": "1", "B": "two words", "MONGO_URL": "mongodb://h/?replicaSet=x"}
    assert read_dotenv(tmp_path / "none") == {}


def test_defaults_are_the_documented_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Home below the repository, cache below the user's, nothing given from outside."""
    for name in ("CASTLIST_HOME", "CASTLIST_CACHE", "KAFKA_BOOTSTRAP", "MONGO_URL", "S3_ENDPOINT", *PORTS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    config = load_config()
    assert config.home == ROOT / ".castlist"
    assert config.cache == Path("/somewhere/castlist")
    assert config.ports == {"INGEST_PORT": 50001, "QUERY_PORT": 56667, "WORKERS_PORT": 50002, "AGGREGATOR_PORT": 50003}
    assert config.kafka_bootstrap is config.mongo_url is config.s3_endpoint is None


def test_servers_given_from_outside_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own stack never uses a server that somebody's environment points to."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka:9092")
    config = load_config()
    assert config.kafka_bootstrap == "kafka:9092"
    assert config.without_given_servers().kafka_bootstrap is None
