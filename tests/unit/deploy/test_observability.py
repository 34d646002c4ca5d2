"""What is shown and alerted of the metrics."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from prometheus_client import REGISTRY

import castlist.service.metrics  # noqa: F401 - which registers them
from testkit.source import ROOT

FOLDER = ROOT / "deploy" / "observability"
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((FOLDER / "grafana" / "dashboards" / "castlist.json").read_text())


def test_each_metric_that_is_asked_for_exists() -> None:
    """In alerts and panels; a histogram by its parts."""
    there = set()
    for family in REGISTRY.collect():
        parts = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        there |= {family.name + part for part in parts}
    asked = [rule["expr"] for rule in ALERTS]
    asked += [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    named = {name for expression in asked for name in re.findall(r"castlist_\w+", expression)}
    assert len(named) > 15
    assert named <= there


def test_each_alert_is_explained() -> None:
    """A row of its own in docs/operating.md, with what to do; no row is of an alert that there is not."""
    explained = re.findall(r"^\| `(Castlist\w+)` \|", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE)
    assert sorted(explained) == sorted(rule["alert"] for rule in ALERTS)


@pytest.mark.parametrize(
    "words", [["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]], ids=["config", "rules"]
)
def test_prometheus_takes_them(words: list[str]) -> None:
    """Its own tool finds no fault, and the alerts fire where they should and nowhere else."""
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool, of Debian's package prometheus")
    done = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
