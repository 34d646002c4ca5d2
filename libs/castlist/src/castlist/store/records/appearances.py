"""An appearance: a profile in a video."""

from datetime import datetime

from castlist.contract.values import Crop, Segment
from castlist.store.query import descending
from castlist.store.records.collection import AGGREGATOR, QUERY, Collection, index
from castlist.store.records.record import Record


def in_milliseconds(seconds: float) -> int:
    """The nearest whole number of milliseconds."""
    return round(seconds * 1000)


class AppearanceRecord(Record, frozen=True, kw_only=True):
    """A profile in a video (`profile:video`): its segments, its one crop, its video persons there. `video_at` is the
    video's moment."""

    gallery: str
    profile_id: str
    video_id: str
    epoch: int
    created_at: datetime
    video_at: datetime | None = None
    persons: tuple[str, ...]
    segments: tuple[Segment, ...]
    seconds: float
    faces: int
    first_seen: float
    last_seen: float
    crop: Crop | None
    manual: bool = False
    """whether nobody was found there, and a person said so"""
    shown: bytes = b""
    """what clients see of it, by `store.appearance_json`; empty before that was kept"""


class ShownAppearance(Record, frozen=True, kw_only=True):
    """Of an appearance: what is passed on as it is. A page of 100 profiles reads 500 of these."""

    profile_id: str
    created_at: datetime
    shown: bytes = b""


class AppearanceTotals(Record, frozen=True, kw_only=True):
    """Of an appearance: what it adds to its profile's totals."""

    profile_id: str
    video_at: datetime | None = None
    seconds: float

    @property
    def milliseconds(self) -> int:
        """Whole ones, so that sums of them are exact in whatever order they are made."""
        return in_milliseconds(self.seconds)


class ScreenTime(Record, frozen=True, kw_only=True):
    """Of an appearance: whose it is, and when it is on screen."""

    profile_id: str
    segments: tuple[Segment, ...]
    seconds: float
    first_seen: float


class AppearanceVideo(Record, frozen=True, kw_only=True):
    """Of an appearance: whose it is, and where."""

    profile_id: str
    video_id: str


class AppearanceProfile(Record, frozen=True, kw_only=True):
    """Of an appearance: whose it is."""

    profile_id: str


APPEARANCES = Collection(
    name="appearances",
    record=AppearanceRecord,
    id="profile:video",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="as long as its profile and its video",
    growth="people in videos",
    indexes=(
        index(
            AppearanceRecord.profile_id,
            descending(AppearanceRecord.created_at),
            descending(AppearanceRecord.id),
        ),
        index(AppearanceRecord.profile_id, AppearanceRecord.video_at, AppearanceRecord.id),
        index(AppearanceRecord.video_id, AppearanceRecord.profile_id),
        index(AppearanceRecord.gallery),
    ),
)
