"""Which tests run where, and what the `stack` and `faults` tests share.

`python3 deploy test` starts a stack and exports its addresses. A plain `pytest`
skips what needs one.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the deploy folder is a package of the repository's root

from testkit.api import Api  # noqa: E402
from testkit.database import Database, connect  # noqa: E402
from testkit.running_stack import ADDRESSES, RunningStack  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_stack = pytest.mark.skip(reason="needs the stack: `python3 deploy test`")
    long = pytest.mark.skip(reason="long: `python3 deploy test --faults`")
    # Under `deploy test` nothing that needs the stack is skipped: without one it has to fail.
    has_stack = os.environ.get("CASTLIST_TEST_STACK") == "1" or all(os.environ.get(name) for name in ADDRESSES)
    for item in items:
        if item.get_closest_marker("stack") and not has_stack:
            item.add_marker(no_stack)
        if item.get_closest_marker("faults") and item.get_closest_marker("slow") and not _faults():
            item.add_marker(long)


def _faults() -> bool:
    return os.environ.get("CASTLIST_FAULTS") == "1"


@pytest.fixture(scope="session")
def stack() -> RunningStack:
    """The stack of `python3 deploy test`, or the one whose `CASTLIST_HOME/env` was sourced."""
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
