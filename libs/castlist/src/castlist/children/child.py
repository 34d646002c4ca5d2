"""A child process as its parent sees it: it is given jobs, watched, killed where need be, and started anew.

One that died or was killed is started again at once, so that the next job finds it warm.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import psutil
from pydantic import ValidationError

from castlist.children import framing
from castlist.children.messages import GarbledMessageError, JobMessage, JobModel, JobRejectedError
from castlist.ports.errors import UnavailableError
from castlist.service.metrics import CHILD_RESTARTS

log = logging.getLogger(__name__)
R = TypeVar("R", bound=JobModel)
_LOOK_EVERY = 0.25
_START_SECONDS = 120.0
# What a child may know: it reads hostile bytes, and has no business with the addresses and keys of our servers.
_KNOWN = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
_KNOWN |= {"XDG_CACHE_HOME", "CUDA_VISIBLE_DEVICES"}
# One core a slot. And pictures go back to the system: left to itself, glibc soon keeps them in a heap that they tear
# up, and a slot grows for as long as it lives (by a tenth over an hour of video, and is a quarter larger on the whole).
_ALWAYS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}


def command(module: str, role: str, **options: Any) -> list[str]:
    """What starts a child of this process: `module` calls `child_process.work`."""
    return [sys.executable, "-m", module, role, str(os.getpid()), json.dumps(options)]


class ChildLostError(Exception):
    """The child died or had to be killed over this job. `reason`: crashed, or overran_cpu, _time or _memory."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class JobError(Exception):
    """The job raised an unforeseen error; the child lives. Its text says what and where."""


@dataclass(frozen=True)
class Bounds:
    """What one job may take. No CPU is spent while a disk stalls or others have the cores: `seconds` is far longer."""

    cpu_seconds: float
    seconds: float
    memory: int
    """resident bytes of the child"""


class JobRunner(Protocol):
    """What runs one job at a time: a child."""

    cpu_seconds: float
    """what the last job took, as far as it was seen"""

    async def run(self, order: JobMessage, bounds: Bounds, progress: Callable[[float], None]) -> JobMessage:
        """The result of one job; see `Child.run`."""
        ...

    async def kill(self) -> None:
        """End what it is doing."""
        ...


class Child(JobRunner):
    """One process, one job at a time."""

    def __init__(self, command: Sequence[str], on_ready: Callable[[JobMessage], None]) -> None:
        self._command, self._on_ready = command, on_ready
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._closed = False
        self.cpu_seconds = 0.0
        self.facts: JobMessage = {}

    @property
    def pid(self) -> int | None:
        """The id of the process, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def ready(self) -> bool:
        """Whether it waits for a job, or works on one."""
        return self.pid is not None and (self._starting is None or self._starting.done())

    def start(self) -> None:
        """Begin to start it, unless it is there or starting. UnavailableError once it was ended for good."""
        if self._closed:
            raise UnavailableError("the slots are closed")
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
            hello = await asyncio.wait_for(framing.receive(process.stdout), _START_SECONDS)
            self.facts = {"pid": process.pid, **hello["ready"]}
            self._on_ready(self.facts)
            log.info("child_ready", extra={"facts": self.facts})
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                log.error("child_not_started", extra={"reason": repr(error)})
            await self.kill()
            raise

    async def kill(self) -> None:
        """End it now, in whatever it is doing."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # not process.kill(), which looks first whether it has exited, and then nobody learns with what status
                os.kill(process.pid, signal.SIGKILL)
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        self.start()
        assert self._starting is not None
        try:
            await asyncio.shield(self._starting)
        except (OSError, KeyError, TimeoutError, asyncio.IncompleteReadError, GarbledMessageError) as error:
            raise UnavailableError(f"a worker child does not start: {error!r}") from error
        except asyncio.CancelledError:
            if self._starting.cancelled():
                raise UnavailableError("the slots are closed") from None
            raise
        assert self._process is not None
        return self._process

    async def run(self, order: JobMessage, bounds: Bounds, progress: Callable[[float], None]) -> JobMessage:
        """The result of one job. Raises JobRejectedError, JobError or ChildLostError; UnavailableError where no
        child can be started.

        Cancelled, it kills the process before it returns.
        """
        process = await self._started()
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(framing.pack(order))
                await process.stdin.drain()
            return await self._result(process, bounds, progress)
        except (JobRejectedError, JobError):
            raise
        except BaseException as error:  # above all a cancel
            await self._replace(error.reason if isinstance(error, ChildLostError) else "cancelled")
            raise

    async def _result(
        self, process: asyncio.subprocess.Process, bounds: Bounds, progress: Callable[[float], None]
    ) -> JobMessage:
        assert process.stdout is not None
        deadline = asyncio.get_running_loop().time() + bounds.seconds
        before, self.cpu_seconds = _cpu_seconds(process.pid) or 0.0, 0.0
        reading = asyncio.create_task(framing.receive(process.stdout))
        try:
            while True:
                await asyncio.wait({reading}, timeout=_LOOK_EVERY)
                if (spent := _cpu_seconds(process.pid)) is not None:
                    self.cpu_seconds = spent - before
                if reading.done():
                    frame = await self._frame(reading, process)
                    if "progress" not in frame:
                        return _outcome(frame)
                    progress(float(frame["progress"]))
                    reading = asyncio.create_task(framing.receive(process.stdout))
                if self.cpu_seconds > bounds.cpu_seconds:
                    raise ChildLostError("overran_cpu", f"it took more than {bounds.cpu_seconds:.0f} s of CPU")
                if asyncio.get_running_loop().time() > deadline:
                    raise ChildLostError("overran_time", f"it took longer than {bounds.seconds:.0f} s")
                if _resident(process.pid) > bounds.memory:
                    raise ChildLostError("overran_memory", f"it took more than {bounds.memory >> 20} MB of memory")
        finally:
            reading.cancel()

    async def _frame(self, reading: asyncio.Task[JobMessage], process: asyncio.subprocess.Process) -> JobMessage:
        try:
            return await reading
        except (asyncio.IncompleteReadError, ConnectionResetError, GarbledMessageError) as error:
            await self.kill()
            detail = str(error) if isinstance(error, GarbledMessageError) else f"exit status {process.returncode}"
            raise ChildLostError("crashed", detail) from None

    async def _replace(self, reason: str) -> None:
        CHILD_RESTARTS.labels(reason).inc()
        await self.kill()
        if not self._closed:
            self.start()

    async def close(self) -> None:
        """End it for good: a job that still runs on it is lost, and starts no other."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self.kill()


async def run_job(
    child: JobRunner, job: JobModel, result: type[R], bounds: Bounds, progress: Callable[[float], None]
) -> R:
    """`child.run`, typed: a result that is none counts as a crash."""
    message = await child.run(job.message(), bounds, progress)
    try:
        return result.model_validate(message)
    except ValidationError as error:
        await child.kill()
        raise ChildLostError("crashed", f"its result is not valid: {error.error_count()} errors") from None


def _outcome(frame: JobMessage) -> JobMessage:
    match frame:
        case {"result": dict(result)}:
            return result
        case {"rejected": {"code": str(code), "message": str(message)}}:
            raise JobRejectedError(code, message)
        case {"bug": str(message)}:
            raise JobError(message)
    raise ChildLostError("crashed", "it talks nonsense")


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _cpu_seconds(pid: int) -> float | None:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)
