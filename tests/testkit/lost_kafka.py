"""Kafka, killed, and without its data when it comes back."""

import shutil
from pathlib import Path

import psutil

from testkit.running_stack import RunningStack


def lose_kafka(stack: RunningStack) -> None:
    """Returns when it is there again, with an empty log."""
    pid = stack.pid("kafka")
    data = kafka_data(stack)
    psutil.Process(pid).suspend()  # so that the supervisor does not start it again before its data are gone
    shutil.rmtree(data)
    stack.kill("kafka")
    stack.wait_restarted("kafka", pid, 120)


def kafka_data(stack: RunningStack) -> Path:
    """Where this stack's broker keeps its log."""
    found = sorted(path.parent for path in stack.home.rglob("meta.properties"))
    assert len(found) == 1, found
    return found[0]
