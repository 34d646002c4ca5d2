"""What log lines say: a stable name, and fields."""

import ast
import logging
import re
from collections.abc import Iterator

import pytest

from castlist.service.log_events import LOG_EVENTS
from testkit.source import modules, tree

TAKEN = {*vars(logging.makeLogRecord({})), "message", "asctime"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a logger's method, by the module."""
    for module in modules():
        for node in ast.walk(tree(module)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in ("log", "_log")
                and node.func.attr in LEVELS
            ):
                yield module, node


CALLS = [pytest.param(call, id=f"{module}:{call.lineno}") for module, call in log_calls()]


@pytest.mark.parametrize("call", CALLS)
def test_a_message_is_the_name_of_an_event(call: ast.Call) -> None:
    """One of the list, and nothing else beside it: who searches logs or sets an alarm relies on it."""
    (message,) = call.args
    assert isinstance(message, ast.Constant)
    assert message.value in LOG_EVENTS


@pytest.mark.parametrize("call", CALLS)
def test_no_field_has_a_name_that_logging_keeps_for_itself(call: ast.Call) -> None:
    """It raises KeyError then, in the middle of what was to be done about the very thing that is logged."""
    extras = [word.value for word in call.keywords if word.arg == "extra"]
    keys = [key for extra in extras if isinstance(extra, ast.Dict) for key in extra.keys]
    names = {str(key.value) for key in keys if isinstance(key, ast.Constant)}
    assert names.isdisjoint(TAKEN)


def test_every_event_of_the_list_is_logged() -> None:
    """The list has nothing that is no more; names are in one form, meanings are sentences."""
    logged = {call.args[0].value for _, call in log_calls() if isinstance(call.args[0], ast.Constant)}
    assert set(LOG_EVENTS) == logged
    assert len(CALLS) > 30
    for name, meaning in LOG_EVENTS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert meaning.endswith(".")
