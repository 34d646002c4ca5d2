"""The table of the media matrix, shown when all tests are over."""

import pytest

from testkit.matrix_table import Table

_TABLE = pytest.StashKey[Table]()


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    """What became of each cell."""
    return pytestconfig.stash.setdefault(_TABLE, Table())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (table := config.stash.get(_TABLE, None)) is not None:
        terminalreporter.section("media matrix")
        for line in table.lines():
            terminalreporter.line(line)
