"""What planning and working through chunks have in common around them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from castlist.contract.ids import attempt_key
from castlist.ports.documents import Documents
from castlist.ports.messages import Publisher
from castlist.ports.objects import Objects
from castlist.tasks import lifecycle
from frame_workers.attempts import Trials
from frame_workers.object_cache import Cache
from frame_workers.pulse import Pulse
from frame_workers.running_jobs import Running, Stopped
from frame_workers.settings import Settings


@dataclass(frozen=True)
class Workshop:
    """The adapters, and the state that one process keeps."""

    settings: Settings
    documents: Documents
    objects: Objects
    publisher: Publisher
    cache: Cache
    trials: Trials
    running: Running
    pulse: Pulse
    clock: Callable[[], datetime]

    async def ensure_wanted(self, video_id: str, epoch: int) -> None:
        """Stopped if nobody wants this attempt any more."""
        if self.running.is_stopped(attempt_key(video_id, epoch)) or not await lifecycle.is_wanted(
            self.documents, video_id, epoch
        ):
            raise Stopped
