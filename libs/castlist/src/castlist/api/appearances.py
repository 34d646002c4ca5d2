"""Appearances: profiles in videos."""

from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field

from castlist.api.examples import MADE, VIDEO
from castlist.api.resource import Id, Page, Resource, Text
from castlist.contract.bounds import MOST_SEGMENTS
from castlist.contract.box import Box
from castlist.contract.values import Duration, FrameSize, Quality, Seconds, Segment, VideoName, Whole


class CropPicture(Resource):
    """One face: where to get its picture (relative to query-api), and where it is in which frame."""

    url: Text
    time: Seconds
    box: Box
    frame: FrameSize
    quality: Quality


class Appearance(Resource):
    """A profile in a video. Times are seconds of the video; `faces` counts sightings.

    `manual`: no face was found, a person said so. Only then, and where its video is being removed, is there no crop.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "video_id": VIDEO, "video_name": "lobby.mp4", "first_seen": 0.4, "last_seen": 31.0, "seconds": 11.9,
                "faces": 57, "segments": [{"start": 0.4, "end": 9.1}, {"start": 27.8, "end": 31.0}],
                "crop": {"url": f"/crops/{VIDEO}/1/0-3.jpg", "time": 3.2,
                         "box": {"left": 210, "top": 88, "width": 96, "height": 96},
                         "frame": {"width": 640, "height": 480}, "quality": 0.93},
                "manual": False,
            }
        }
    )  # fmt: skip

    video_id: Id
    video_name: VideoName
    first_seen: Seconds
    last_seen: Seconds
    seconds: Duration
    faces: Whole
    segments: Annotated[list[Segment], Field(max_length=MOST_SEGMENTS)]
    crop: CropPicture | None
    manual: bool = False


class AppearancePage(Page[Appearance]):
    """Appearances, the newest first."""


class TimelineEntry(Appearance):
    """An appearance in the life of a profile. `at`: when its video was recorded, or else came to us."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "at": MADE, "video_id": VIDEO, "video_name": "lobby.mp4", "first_seen": 0.4, "last_seen": 9.1,
                "seconds": 8.7, "faces": 40, "manual": False, "segments": [{"start": 0.4, "end": 9.1}], "crop": None,
            }
        }
    )  # fmt: skip

    at: AwareDatetime


class TimelinePage(Page[TimelineEntry]):
    """Appearances in the order of their videos' moments."""
