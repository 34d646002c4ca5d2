"""Waiting for what servers and processes do in their own time."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
_PAUSE = 0.05


def eventually(
    check: Callable[[], Any],
    patience: float = PATIENCE,
    *,
    pause: float = _PAUSE,
    showing: Callable[[], object] | None = None,
) -> Any:
    """Call `check` until what it returns is true, and return that.

    AssertionError after `patience` seconds, with what `showing` gives then.
    """
    until = time.monotonic() + patience
    while not (result := check()):
        if time.monotonic() > until:
            raise _too_long(check, patience, showing)
        time.sleep(pause)
    return result


async def eventually_async(
    check: Callable[[], Any],
    patience: float = PATIENCE,
    *,
    pause: float = _PAUSE,
    showing: Callable[[], object] | None = None,
) -> Any:
    """The same while the event loop goes on; `check` may be a coroutine function."""
    until = time.monotonic() + patience
    while True:
        result = check()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        if time.monotonic() > until:
            raise _too_long(check, patience, showing)
        await asyncio.sleep(pause)


def _what(check: Callable[[], Any]) -> str:
    try:
        return inspect.getsource(check).strip()
    except TypeError:  # a partial, or something else without a source of its own
        return repr(check)


def _too_long(check: Callable[[], Any], patience: float, showing: Callable[[], object] | None) -> AssertionError:
    seen = f": {showing()}" if showing else ""
    return AssertionError(f"not so within {patience} s: {_what(check)}{seen}")
