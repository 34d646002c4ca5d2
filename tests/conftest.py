"""Which tests run where, and what the `stack` and `faults` tests share.

`python3 deploy test` starts a stack and exports its addresses. A plain `pytest`
skips what needs one.
"""

import inspect
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the deploy folder is a package of the repository's root

from testkit.api import Api  # noqa: E402
from testkit.database import Database, connect  # noqa: E402
from testkit.running_stack import ADDRESSES, RunningStack  # noqa: E402

# How long an example takes, or making one, says how busy the machine is.
settings.register_profile("whole", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("sample", settings.get_profile("whole"), max_examples=10)
settings.load_profile("sample" if os.environ.get("CASTLIST_TEST_SAMPLE") else "whole")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in ("e2e", "chaos"):
            item.add_marker(pytest.mark.services)
    if os.environ.get("CASTLIST_TEST_SAMPLE"):
        keep = _sample(items)
        config.hook.pytest_deselected(items=[item for item in items if item not in keep])
        items[:] = [item for item in items if item in keep]
    if os.environ.get("CASTLIST_TEST_APIS") == "1":
        inside = pytest.mark.skip(reason="looks at more than the two APIs, which is all that containers show")
        for item in items:
            if not _asks_the_apis_alone(item):
                item.add_marker(inside)
        return
    no_stack = pytest.mark.skip(reason="needs the stack: `python3 deploy test`")
    long = pytest.mark.skip(reason="long: `python3 deploy test --faults`")
    # Under `deploy test` nothing that needs the stack is skipped: without one it has to fail.
    has_stack = os.environ.get("CASTLIST_TEST_STACK") == "1" or all(os.environ.get(name) for name in ADDRESSES)
    for item in items:
        if item.get_closest_marker("stack") and not has_stack:
            item.add_marker(no_stack)
        if item.get_closest_marker("faults") and item.get_closest_marker("slow") and not _faults():
            item.add_marker(long)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and (path := os.environ.get("CASTLIST_TEST_FAILED")):
        crash = getattr(report.longrepr, "reprcrash", None)
        reason = (crash.message if crash else str(report.longrepr)).partition("\n")[0]
        with open(path, "a") as file:
            file.write(f"{report.nodeid} ({report.when}): {reason[:200]}\n")


def _sample(items: list[pytest.Item]) -> set[pytest.Item]:
    """Every test that is not slow; of those with many parameters the first and the last."""
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if not item.get_closest_marker("slow"):
            cases[item.nodeid.partition("[")[0]].append(item)
    return {case for found in cases.values() for case in (found[0], found[-1])}


def _asks_the_apis_alone(item: pytest.Item) -> bool:
    asked = set(inspect.signature(item.function).parameters) if isinstance(item, pytest.Function) else set()
    return "api" in asked and not asked & {"stack", "database"}


def _faults() -> bool:
    return os.environ.get("CASTLIST_FAULTS") == "1"


@pytest.fixture(scope="session")
def stack() -> RunningStack:
    """The stack of `python3 deploy test`, or the one whose `CASTLIST_HOME/env` was sourced."""
    if os.environ.get("CASTLIST_TEST_APIS") == "1":
        return RunningStack.of(Path(), defaultdict(str, os.environ))
    home = os.environ.get("CASTLIST_TEST_HOME") or os.environ.get("CASTLIST_HOME")
    assert home, "a stack's addresses are set, its CASTLIST_HOME is not"
    return RunningStack.of(Path(home), os.environ)


@pytest.fixture
def api(stack: RunningStack) -> Api:
    """Its services, without our client."""
    return Api(stack)


@pytest.fixture
def database(stack: RunningStack) -> Iterator[Database]:
    """What it has stored, looked at directly."""
    database = connect(stack.mongo_url)
    yield database
    database.client.close()
