"""The client by itself, as a user of another machine's installation has it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.config import load_config
from deploy.tools import find_uv
from testkit.running_stack import RunningStack
from testkit.source import ROOT

pytestmark = pytest.mark.stack
OF_SERVICES = {
    "motor",
    "pymongo",
    "aiokafka",
    "aiobotocore",
    "numpy",
    "msgspec",
    "starlette",
    "uvicorn",
    "opencv-python",
}


def run(*words: str | Path) -> str:
    """What a command says; it must succeed."""
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_client_installs_no_driver_of_a_server(tmp_path: Path, stack: RunningStack) -> None:
    """Neither of Kafka, MongoDB or S3, nor numpy; and it works."""
    uv, python = find_uv(load_config().cache), tmp_path / "bin" / "python"
    versions = tmp_path / "versions.txt"
    versions.write_text(
        "\n".join(re.findall(r"^[\w.\[\]-]+==[^\\\n]+", (ROOT / "requirements.lock").read_text(), re.M))
    )
    run(uv, "venv", "-q", "--allow-existing", "--python", sys.executable, tmp_path)
    members = ["./libs/castlist", "./libs/castlist-client"]
    run(uv, "pip", "install", "-q", "--python", python, "--constraint", versions, *members)
    installed = {one["name"] for one in json.loads(run(uv, "pip", "list", "--python", python, "--format", "json"))}
    assert {"castlist", "castlist-client", "pydantic", "httpx2"} <= installed
    assert installed.isdisjoint(OF_SERVICES)
    told = json.loads(
        run(tmp_path / "bin" / "castlist", "--query", stack.query_url, "--json", "people", "-g", "default")
    )
    assert isinstance(told, dict | list)
