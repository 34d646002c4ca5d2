"""A child process as its parent sees it: it is given jobs, watched, killed where need be, and started anew.

One that died or was killed is started again at once, so that the next job finds it warm.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from castlist.ports.errors import Unavailable
from castlist.service.metrics import CHILD_RESTARTS
from frame_workers.slots import protocol
from frame_workers.slots.protocol import Refused

log = logging.getLogger(__name__)
_LOOK_EVERY = 0.25
_START_SECONDS = 120.0
# What a child may know: it reads hostile bytes, and has no business with the addresses and keys of our servers.
_KNOWN = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
_KNOWN |= {"XDG_CACHE_HOME", "CUDA_VISIBLE_DEVICES"}
# One core a slot. And pictures go back to the system: left to itself, glibc soon keeps them in a heap that they tear
# up, and a slot grows for as long as it lives (by a tenth over an hour of video, and is a quarter larger on the whole).
_ALWAYS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}


class ChildLost(Exception):
    """The child died or had to be killed over this job. `reason`: crashed, overran_time, overran_memory."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class JobBug(Exception):
    """The job raised what nobody foresaw; the child lives. Its text says what and where."""


@dataclass(frozen=True)
class Bounds:
    """What one job may take."""

    seconds: float
    memory: int
    """resident bytes of the child"""


class Child:
    """One process, one job at a time."""

    def __init__(self, command: Sequence[str], on_ready: Callable[[protocol.Frame], None]) -> None:
        self._command, self._on_ready = command, on_ready
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self.facts: protocol.Frame = {}

    @property
    def pid(self) -> int | None:
        """Of the process that is running."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def ready(self) -> bool:
        """Whether it waits for a job, or works on one."""
        return self.pid is not None and (self._starting is None or self._starting.done())

    def start(self) -> None:
        """Begin to start it, unless it is there or starting."""
        if self._starting is None or (self._starting.done() and self.pid is None):
            self._starting = asyncio.create_task(self._start())

    async def _start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name in _KNOWN}
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment | _ALWAYS,
            start_new_session=True,  # a Ctrl-C at the terminal is the parent's to handle
        )
        self._process = process
        assert process.stdout is not None
        try:
            hello = await asyncio.wait_for(protocol.receive(process.stdout), _START_SECONDS)
            self.facts = {"pid": process.pid, **hello["ready"]}
            self._on_ready(self.facts)
            log.info("a worker child is ready", extra={"facts": self.facts})
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                log.error("a worker child does not start", extra={"reason": repr(error)})
            await self.kill()
            raise

    async def kill(self) -> None:
        """End it now, in whatever it is doing."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        self.start()
        assert self._starting is not None
        try:
            await asyncio.shield(self._starting)
        except (OSError, KeyError, TimeoutError, asyncio.IncompleteReadError, protocol.Garbled) as error:
            raise Unavailable(f"a worker child does not start: {error!r}") from error
        assert self._process is not None
        return self._process

    async def run(self, order: protocol.Frame, bounds: Bounds, progress: Callable[[float], None]) -> protocol.Frame:
        """The result of one job. Raises Refused, JobBug, ChildLost, or Unavailable where no child can be started.

        Cancelled, it kills the process before it returns.
        """
        process = await self._started()
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(protocol.pack(order))
                await process.stdin.drain()
            return await self._result(process, bounds, progress)
        except (Refused, JobBug):
            raise
        except BaseException as error:  # above all a cancel
            await self._replace(error.reason if isinstance(error, ChildLost) else "cancelled")
            raise

    async def _result(
        self, process: asyncio.subprocess.Process, bounds: Bounds, progress: Callable[[float], None]
    ) -> protocol.Frame:
        assert process.stdout is not None
        deadline = asyncio.get_running_loop().time() + bounds.seconds
        reading = asyncio.create_task(protocol.receive(process.stdout))
        try:
            while True:
                await asyncio.wait({reading}, timeout=_LOOK_EVERY)
                if reading.done():
                    frame = await self._frame(reading, process)
                    if "progress" not in frame:
                        return _outcome(frame)
                    progress(float(frame["progress"]))
                    reading = asyncio.create_task(protocol.receive(process.stdout))
                if asyncio.get_running_loop().time() > deadline:
                    raise ChildLost("overran_time", f"it took longer than {bounds.seconds:.0f} s")
                if _resident(process.pid) > bounds.memory:
                    raise ChildLost("overran_memory", f"it took more than {bounds.memory >> 20} MB of memory")
        finally:
            reading.cancel()

    async def _frame(
        self, reading: asyncio.Task[protocol.Frame], process: asyncio.subprocess.Process
    ) -> protocol.Frame:
        try:
            return await reading
        except (asyncio.IncompleteReadError, ConnectionResetError, protocol.Garbled) as error:
            await self.kill()
            detail = str(error) if isinstance(error, protocol.Garbled) else f"exit status {process.returncode}"
            raise ChildLost("crashed", detail) from None

    async def _replace(self, reason: str) -> None:
        CHILD_RESTARTS.labels(reason).inc()
        await self.kill()
        self.start()

    async def close(self) -> None:
        """End it for good."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self.kill()


def _outcome(frame: protocol.Frame) -> protocol.Frame:
    match frame:
        case {"result": dict(result)}:
            return result
        case {"refused": {"code": str(code), "message": str(message)}}:
            raise Refused(code, message)
        case {"bug": str(message)}:
            raise JobBug(message)
    raise ChildLost("crashed", "it talks nonsense")


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
