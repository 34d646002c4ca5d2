"""Where the client looks for the services."""

from pathlib import Path

import pytest

from castlist_client.addresses import ingest_url, query_url, settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INGEST_URL", "QUERY_URL", "INGEST_PORT", "QUERY_PORT", "CASTLIST_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_default_is_this_machine(tmp_path: Path) -> None:
    """On the ports that are documented."""
    given = settings(tmp_path)
    assert (ingest_url(given), query_url(given)) == ("http://127.0.0.1:50001", "http://127.0.0.1:56667")


def test_a_stack_on_other_ports_is_found_by_its_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual home in the working folder, or the one that CASTLIST_HOME names."""
    for home, port in ((tmp_path / ".castlist", 1), (tmp_path / "second", 2)):
        home.mkdir()
        (home / "env").write_text(f"export INGEST_URL=http://127.0.0.1:{port}\n")
    assert ingest_url(settings(tmp_path)) == "http://127.0.0.1:1"
    monkeypatch.setenv("CASTLIST_HOME", str(tmp_path / "second"))
    assert ingest_url(settings(tmp_path)) == "http://127.0.0.1:2"


def test_what_is_nearer_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment before `.env`, and that before a stack's own file."""
    (tmp_path / ".castlist").mkdir()
    (tmp_path / ".castlist" / "env").write_text("QUERY_URL=http://home\nINGEST_URL=http://home\n")
    (tmp_path / ".env").write_text("# here\nQUERY_URL='http://file'\nINGEST_URL=http://file\n")
    monkeypatch.setenv("QUERY_URL", "http://environment")
    given = settings(tmp_path)
    assert (query_url(given), ingest_url(given)) == ("http://environment", "http://file")
