"""Where the two services are, as far as the environment and a `.env` in the working folder say."""

import os
from collections.abc import Mapping
from pathlib import Path

INGEST_PORT, QUERY_PORT = "50001", "56667"


def settings(folder: Path = Path()) -> Mapping[str, str]:
    """The environment, and below it the `NAME=value` lines of `.env`: what is set in the environment wins."""
    lines: list[str] = []
    if (path := folder / ".env").is_file():
        lines = path.read_text("utf-8").splitlines()
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, equals, value in pairs if equals} | os.environ


def ingest_url(given: Mapping[str, str]) -> str:
    """Where `given` says that ingest is; this machine's default port otherwise."""
    return given.get("INGEST_URL") or f"http://127.0.0.1:{given.get('INGEST_PORT') or INGEST_PORT}"


def query_url(given: Mapping[str, str]) -> str:
    """The same of query-api."""
    return given.get("QUERY_URL") or f"http://127.0.0.1:{given.get('QUERY_PORT') or QUERY_PORT}"
