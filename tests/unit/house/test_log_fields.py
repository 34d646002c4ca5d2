"""What log lines carry beside their message."""

import ast
import logging
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TAKEN = {*vars(logging.makeLogRecord({})), "message", "asctime"}


def fields(path: Path) -> list[tuple[int, str]]:
    """(line, name) of all that is given as `extra` in a file."""
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    extras = (word.value for call in calls for word in call.keywords if word.arg == "extra")
    dicts = (value for value in extras if isinstance(value, ast.Dict))
    return [(key.lineno, str(key.value)) for found in dicts for key in found.keys if isinstance(key, ast.Constant)]


def test_no_field_has_a_name_that_logging_keeps_for_itself() -> None:
    """It raises KeyError then, in the middle of what was to be done about the very thing that is logged."""
    sources = ROOT.glob("*/src/**/*.py")
    found = {f"{path.relative_to(ROOT)}:{line}": name for path in sources for line, name in fields(path)}
    assert len(found) > 30
    assert {where: name for where, name in found.items() if name in TAKEN} == {}
