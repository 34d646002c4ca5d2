"""The processes that look at pictures: few, each with a job at a time, and a short queue before them.

They start when the first picture comes: an installation in which nobody searches pays nothing for it, and the first
search takes some seconds more. A picture that crashes one, or takes too much, costs its own search and no other.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import IO

from castlist.children.child import Bounds, ChildLostError, JobError, JobRunner, run_job
from castlist.children.messages import JobRejectedError
from castlist.contract.values import AnalysisSettings
from castlist.service.problems import Problem
from query_api.search.protocol import PictureJob, PictureResult

WAITING = 16
"""Pictures that may wait for a child."""
BOUNDS = Bounds(cpu_seconds=30.0, seconds=120.0, memory=1_536 * 2**20)
"""What one picture may take. With `cnn`, ten times the time."""


class PictureChildren:
    """Looks at pictures in the order in which they come, as many at a time as there are children."""

    def __init__(self, children: Sequence[JobRunner], waiting: int = WAITING) -> None:
        self._idle = list(children)
        self._free = asyncio.Semaphore(len(children))
        self._room = len(children) + waiting

    def ensure_room(self) -> None:
        """Problem 503 where so many pictures wait already that another one had better come later."""
        if self._room <= 0:
            raise Problem(503, "Too many pictures are being looked at.", headers={"Retry-After": "2"})

    async def look(self, picture: IO[bytes], settings: AnalysisSettings) -> PictureResult:
        """What is in a picture, in a file that stays open. A Problem where it cannot be looked at, or where too many
        wait; UnavailableError where no child can be started."""
        self.ensure_room()
        self._room -= 1
        try:
            async with self._free:
                child = self._idle.pop()
                try:
                    return await _looked_at(child, picture, settings)
                finally:
                    self._idle.append(child)
        finally:
            self._room += 1


async def _looked_at(child: JobRunner, picture: IO[bytes], settings: AnalysisSettings) -> PictureResult:
    picture.flush()
    # A file without a name goes with us, whatever happens: the child gets at it while we hold it.
    job = PictureJob(path=f"/proc/{os.getpid()}/fd/{picture.fileno()}", settings=settings)
    bounds = BOUNDS
    if settings.detector == "cnn":
        bounds = replace(bounds, cpu_seconds=10 * bounds.cpu_seconds, seconds=10 * bounds.seconds)
    try:
        return await run_job(child, job, PictureResult, bounds, lambda _: None)
    except JobRejectedError as error:
        match error.code:
            case "not_a_picture":
                raise Problem(415, str(error), kind="not-a-picture") from None
            case "limits_exceeded":
                raise Problem(413, str(error), kind="limits-exceeded") from None
        raise Problem(422, str(error), kind="undecodable") from None
    except ChildLostError as error:
        raise Problem(422, f"Looking at the picture came to no end: {error}", kind="decoder-crashed") from None
    except JobError as error:
        raise RuntimeError(f"a picture met a mistake of ours: {error}") from error
