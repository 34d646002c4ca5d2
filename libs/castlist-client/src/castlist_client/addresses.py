"""Where the two services are: as the environment says, a `.env` in the working folder, or the stack of this home."""

import os
from collections.abc import Mapping
from pathlib import Path

INGEST_PORT, QUERY_PORT = "50001", "56667"


def settings(folder: Path = Path()) -> Mapping[str, str]:
    """The environment, and below it `.env`, and below that what a stack wrote into its `CASTLIST_HOME`/env."""
    given = _lines(folder / ".env") | os.environ
    return _lines(folder / (given.get("CASTLIST_HOME") or ".castlist") / "env") | given


def _lines(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a file; none where there is no file."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, equals, value in pairs if equals}


def ingest_url(given: Mapping[str, str]) -> str:
    """Where `given` says that ingest is; this machine's default port otherwise."""
    return given.get("INGEST_URL") or f"http://127.0.0.1:{given.get('INGEST_PORT') or INGEST_PORT}"


def query_url(given: Mapping[str, str]) -> str:
    """Where `given` says that query-api is; this machine's default port otherwise."""
    return given.get("QUERY_URL") or f"http://127.0.0.1:{given.get('QUERY_PORT') or QUERY_PORT}"
