"""What the handlers have in common around them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from castlist.contract.ids import run_key
from castlist.messaging.liveness import Liveness
from castlist.ports.messages import Publisher
from castlist.ports.objects import Objects
from castlist.store.store import Store
from castlist.tasks import lifecycle
from frame_workers.attempts import Attempts
from frame_workers.object_cache import ObjectCache
from frame_workers.running_jobs import RunCancelledError, RunningJobs
from frame_workers.settings import Settings


@dataclass(frozen=True)
class WorkerContext:
    """The adapters, and the state that one process keeps."""

    settings: Settings
    store: Store
    objects: Objects
    publisher: Publisher
    cache: ObjectCache
    attempts: Attempts
    running: RunningJobs
    liveness: Liveness
    clock: Callable[[], datetime]

    async def ensure_wanted(self, video_id: str, epoch: int) -> None:
        """RunCancelledError if the run's result is not wanted any more."""
        stopped = self.running.is_stopped(run_key(video_id, epoch))
        if stopped or not await lifecycle.is_wanted(self.store, video_id, epoch):
            raise RunCancelledError
