"""Each event to its handler; and where that fails again and again, its owner is told."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from castlist.contract.commands import CancelVideo, PreviewSettings
from castlist.contract.events import (
    ChunkFailed,
    ChunkProgressed,
    Event,
    FacesEncoded,
    VideoPeopleFound,
    VideoPlanned,
    VideoRejected,
    VideoUploaded,
)
from castlist.messaging.delivery import Handler, reason_of
from castlist.tasks.commands import KINDS, Command
from profile_aggregator.commits.committer import Committer
from profile_aggregator.turns import Turns
from profile_aggregator.videos.handlers import VideoHandlers


class Dispatch(Handler):
    """The handler of all topics. `turns` are those of galleries, `previews` those of settings that are tried."""

    def __init__(self, videos: VideoHandlers, committer: Committer, turns: Turns, previews: Turns) -> None:
        self._videos, self._committer, self._turns, self._previews = videos, committer, turns, previews
        self.table: Mapping[type[Event], Callable[[Any], Awaitable[None]]] = {
            VideoUploaded: videos.uploaded,
            VideoPlanned: videos.planned,
            FacesEncoded: videos.encoded,
            ChunkProgressed: videos.progressed,
            ChunkFailed: videos.chunk_failed,
            VideoRejected: videos.rejected,
            CancelVideo: videos.cancelled,
            VideoPeopleFound: self._commit,
            **dict.fromkeys(KINDS, self._command),
        }

    async def handle(self, event: Event) -> None:
        """What is done with it."""
        await self.table[type(event)](event)

    async def fail(self, event: Event, error: Exception) -> None:
        """Its task fails, or its command; what is only shown, and a cancel, become dead letters alone."""
        match event:
            case ChunkProgressed() | CancelVideo():
                return
            case (
                VideoUploaded() | VideoPlanned() | FacesEncoded() | ChunkFailed() | VideoRejected() | VideoPeopleFound()
            ):
                await self._videos.failed(event.video_id, event.epoch, error)
            case _ if isinstance(event, Command):
                await self._committer.refuse(event, reason_of(error))

    async def _commit(self, event: VideoPeopleFound) -> None:
        self._turns.ring(event.gallery)

    async def _command(self, command: Command) -> None:
        await self._committer.stage(command)
        if isinstance(command, PreviewSettings):
            self._previews.ring(command.event_id)
        else:
            self._turns.ring(command.gallery)
