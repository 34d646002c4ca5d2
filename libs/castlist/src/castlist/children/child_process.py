"""A process that takes jobs, and that can be killed at any moment without harm to anything else.

`python -m MODULE ROLE PARENT OPTIONS`, where MODULE calls `work`: dies with PARENT, loads what ROLE needs, says that it
is ready, and then takes one job after the other. Whatever a decoder does to this process, the parent lives on.
"""

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from castlist.children import framing
from castlist.children.messages import Job, JobMessage, JobRejectedError

_PR_SET_PDEATHSIG = 1
_PROGRESS_EVERY = 0.25
_NICENESS = 5


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` dies, however it dies; exit if it has died already."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the parent has died")


def serve(load: Callable[[], tuple[JobMessage, Job]]) -> None:
    """Load, say what is ready, and work through jobs until the parent closes the pipe."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the messages

    def reply(message: JobMessage) -> None:
        replies.write(framing.pack(message))
        replies.flush()

    facts, job = load()
    reply({"ready": facts})
    _give_back()
    while (order := framing.read(sys.stdin.buffer)) is not None:
        reply(_done(job, order, reply))
        _give_back()


def _give_back() -> None:
    """Return to the system what is free: in a heap torn up by pictures it is a fifth of a slot's memory."""
    ctypes.CDLL(None).malloc_trim(0)


def _done(job: Job, order: JobMessage, reply: Callable[[JobMessage], None]) -> JobMessage:
    last = time.monotonic()

    def progress(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_EVERY:
            last = time.monotonic()
            reply({"progress": fraction})

    try:
        return {"result": job(order, progress)}
    except JobRejectedError as rejection:
        return {"rejected": {"code": rejection.code, "message": str(rejection)}}
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        traceback.print_exc()
        return {"bug": f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"[:500]}


def work(load: Callable[[str, dict[str, Any]], tuple[JobMessage, Job]]) -> None:
    """What the process does, to its end. `load` gets ROLE and OPTIONS; what takes long to import is imported there:
    meanwhile the parent may die."""
    role, parent, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    die_with(parent)
    os.nice(_NICENESS)  # Kafka's heartbeats, and the databases on the same machine, come first
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    serve(lambda: load(role, options))
