"""JSON lines on stderr, with the video, task and chunk that a line is about."""

import contextlib
import contextvars
import logging
import time
from collections.abc import Iterator
from typing import Any

from pythonjsonlogger.json import JsonFormatter

_about: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("castlist_log_about", default={})  # noqa: B039


@contextlib.contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Every line logged inside carries `fields` (video, task, chunk, gallery …)."""
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


class _AddContext(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in _about.get().items():
            setattr(record, name, value)
        return True


class _RateLimit(logging.Filter):
    """At most `burst` lines every ten seconds: aiokafka writes hundreds a second while a broker is away."""

    def __init__(self, burst: int = 5) -> None:
        super().__init__()
        self._burst, self._window, self._count = burst, 0.0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._window > 10:
            self._window, self._count = now, 0
        self._count += 1
        return self._count <= self._burst


def configure(service: str, level: str) -> None:
    """Log as `service` from here on; called once, first thing in a process."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields={"service": service},
            timestamp="at",
        )
    )
    handler.addFilter(_AddContext())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    limit = _RateLimit()
    # A logger's filters see its own lines only; `aiokafka` itself is what its client logs under.
    for noisy in ("", ".cluster", ".conn", ".consumer.group_coordinator", ".consumer.fetcher", ".producer.sender"):
        logging.getLogger(f"aiokafka{noisy}").addFilter(limit)
    for name in ("aiokafka.consumer.subscription_state", "botocore", "aiobotocore", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
