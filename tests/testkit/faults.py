"""Servers that fail, and processes that die, at every moment that can be told from the others.

A server is away before each call of a port; after one that changes something, its answer is lost, or the process dies.
(To die before a call, or after one that only reads, is to die after the change before it.) A scenario is run once
undisturbed, and once for each of these moments; it must come to the same end each time.
"""

import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from castlist.ports.errors import UnavailableError

P = TypeVar("P")
_READING = {"get", "find", "count", "count_by", "sum_of", "head", "list", "read", "fetch", "ping"}


class DiedError(BaseException):
    """The process is gone: nothing that it would do now reaches a server. It is no Exception, so nothing catches it."""


class Faults:
    """From `begin` on, counts the calls of the ports it is around. The one numbered `at` fails, before or `after` it is
    carried out.

    Struck by `DiedError`, all further calls fail too, until `restart`.
    """

    def __init__(
        self, at: int | None = None, error: type[BaseException] = UnavailableError, after: bool = False
    ) -> None:
        self.calls: list[str] = []
        self.struck = self._begun = self._dead = False
        self._at, self._error, self._after = at, error, after

    def around(self, port: P) -> P:
        """`port`, with faults."""
        return cast("P", _Faulty(self, port))

    def begin(self) -> None:
        """What was called so far was preparation."""
        self._begun = True

    def restart(self) -> None:
        """Another process is there."""
        self._dead = False

    async def step(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """The result of `call`, or the fault."""
        if self._dead:
            raise DiedError
        if not self._begun:
            return await call()
        number = len(self.calls)
        self.calls.append(name)
        if number == self._at and not self._after:
            self._strike(name)
        try:
            return await call()
        finally:
            if number == self._at:
                self._strike(name)

    def _strike(self, name: str) -> None:
        self.struck = True
        self._dead = self._error is DiedError
        raise self._error(f"at {name}")


class _Faulty:
    """A port whose calls are counted: its coroutines, streams, transactions and uploads."""

    def __init__(self, faults: Faults, port: Any) -> None:
        self._faults, self._port = faults, port

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._port, name)
        if name == "transaction":
            return lambda body: self._step(name, member, lambda inner: body(_Faulty(self._faults, inner)))
        if name == "upload":
            return lambda *given: self._upload(member(*given))
        if inspect.isasyncgenfunction(member):
            return lambda *given, **named: self._stream(name, member(*given, **named))
        if inspect.iscoroutinefunction(member):
            return lambda *given, **named: self._step(name, member, *given, **named)
        return member

    async def _step(self, name: str, member: Callable[..., Awaitable[Any]], *given: Any, **named: Any) -> Any:
        where = f"{type(self._port).__name__}.{name}({', '.join(str(one)[:40] for one in given[:1])})"
        return await self._faults.step(where, lambda: member(*given, **named))

    async def _stream(self, name: str, blocks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        while (block := await self._step(name, lambda: anext(blocks, None))) is not None:
            yield block

    @asynccontextmanager
    async def _upload(self, upload: Any) -> AsyncIterator[Any]:
        async with upload as writing:
            yield _Faulty(self._faults, writing)


async def at_every_moment(scenario: Callable[[Faults], Awaitable[Any]]) -> int:
    """Run `scenario` with a fault at every moment; it must return the same as without. How many moments there were.

    Without `--faults` it is one moment in three, on other Pythons one in seven.

    It gives each of its ports to `faults.around`, calls `faults.begin` when all is prepared, repeats what fails as the
    one who asked for it would, and calls `faults.restart` for the new process when the old one died.
    """
    undisturbed = Faults()
    expected = await scenario(undisturbed)
    assert undisturbed.calls
    moments = 0
    for at, name in list(enumerate(undisturbed.calls))[:: _one_in()]:
        for error, after in _faults_of(name):
            faults = Faults(at, error, after)
            where = f"{error.__name__} {'after' if after else 'before'} call {at}, {name}"
            assert await scenario(faults) == expected, where
            assert faults.struck, where
            moments += 1
    return moments


def _one_in() -> int:
    if os.environ.get("CASTLIST_TEST_SAMPLE"):
        return 7
    return 1 if os.environ.get("CASTLIST_FAULTS") == "1" else 3


def _faults_of(call: str) -> list[tuple[type[BaseException], bool]]:
    """What can happen to a call: which error, and whether after it was carried out."""
    reads = call.partition(".")[2].partition("(")[0] in _READING
    changes: list[tuple[type[BaseException], bool]] = [(UnavailableError, True), (DiedError, True)]
    return [(UnavailableError, False), *([] if reads else changes)]
