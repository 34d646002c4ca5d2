"""The Dockerfiles: clean, and for every builder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.source import ROOT

FILES = [*sorted(ROOT.glob("Dockerfile*")), ROOT / "deploy" / "images" / "Dockerfile"]
each = pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))


@each
def test_hadolint_finds_nothing(file: Path) -> None:
    """The Dockerfile linter."""
    done = subprocess.run([Path(sys.executable).with_name("hadolint"), file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@each
def test_what_comes_from_a_registry_can_be_another_image(file: Path) -> None:
    """So that it is built where no registry is: each FROM names a build argument, or a stage of its own."""
    stages: set[str] = set()
    sources = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", file.read_text(), re.MULTILINE)
    assert sources
    for source, stage in sources:
        assert source in stages or re.fullmatch(r"\$\{\w+_IMAGE\}", source), source
        stages.add(stage)


@each
def test_no_builder_is_asked_for(file: Path) -> None:
    """Nothing that BuildKit alone understands, and no processor is named."""
    text = file.read_text()
    for word in ("--mount", "# syntax", "--link", "TARGETARCH", "--platform", "<<"):
        assert word not in text, word


@each
def test_nothing_runs_as_root(file: Path) -> None:
    """The last user of every stage that is run has a number that is not root's."""
    stages = re.split(r"^FROM ", file.read_text(), flags=re.MULTILINE)[1:]
    users: dict[str | None, str | None] = {}
    for stage in stages:
        source, name = re.match(r"(\S+)(?: AS (\S+))?", stage).groups()  # type: ignore[union-attr]
        found = re.findall(r"^USER (\S+)$", stage, re.MULTILINE)
        users[name] = found[-1] if found else users.get(source)
        if re.search(r"^CMD ", stage, re.MULTILINE):
            assert users[name] == "10001:10001", name
