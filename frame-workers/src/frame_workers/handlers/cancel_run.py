"""A cancel: what is running here on its run stops within moments.

One that is missed while Kafka is away the running chunks notice themselves: they look whether they are wanted.
"""

from castlist.contract.commands import CancelVideo
from castlist.contract.events import Event
from castlist.contract.ids import run_key
from castlist.retry import retry_while_unavailable
from castlist.tasks.cancels import resolve_cancel
from frame_workers.context import WorkerContext


class CancelRun:
    """The handler of `video.control`, in every process."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context

    async def handle(self, cancel: Event) -> None:
        """Stop the jobs of the run that the cancel is about, and forget what it says."""
        assert isinstance(cancel, CancelVideo)
        epoch = await self._epoch(cancel)
        self._context.running.stop(run_key(cancel.video_id, epoch))
        if cancel.forget is not None:
            self._context.cache.forget(cancel.forget)

    @retry_while_unavailable
    async def _epoch(self, cancel: CancelVideo) -> int:
        return await resolve_cancel(self._context.store, cancel, self._context.clock())
