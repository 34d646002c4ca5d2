"""Commands: messages that ask for something. They are named in the imperative."""

from typing import Literal

from castlist.contract.events import Event
from castlist.contract.values import AnalysisSettings, DistanceSetting, Epoch, GalleryId, PersonName, ProfileId, VideoId


class RenameProfile(Event):
    """Give a profile a name (or take it away, with None)."""

    event: Literal["RenameProfile"] = "RenameProfile"
    version: Literal[1] = 1
    gallery: GalleryId
    profile_id: ProfileId
    name: PersonName | None


class DeleteVideo(Event):
    """Remove a video: its people from their profiles, then its object, crops and records."""

    event: Literal["DeleteVideo"] = "DeleteVideo"
    version: Literal[1] = 1
    gallery: GalleryId
    video_id: VideoId


class ChangeSettings(Event):
    """Replace the matching settings of a gallery. A new distance re-clusters it."""

    event: Literal["ChangeSettings"] = "ChangeSettings"
    version: Literal[1] = 1
    gallery: GalleryId
    settings: AnalysisSettings
    across_video_distance: DistanceSetting = "auto"


class CancelVideo(Event):
    """Stop the work on a video. Without an epoch: the one current when this is first received, resolved once."""

    event: Literal["CancelVideo"] = "CancelVideo"
    version: Literal[1] = 1
    video_id: VideoId
    epoch: Epoch | None = None
