"""A profile's appearance in a video: its persons there, put together."""

from collections.abc import Iterable
from dataclasses import dataclass

from castlist.contract.bounds import MOST_SEGMENTS
from castlist.contract.values import Crop, Segment
from castlist_identity.domain import VideoPerson
from castlist_identity.videos.video_people import best_crop, join_segments

GAP = 2.0


@dataclass(frozen=True, slots=True)
class Presence:
    """Of a person: how often it was seen, when, and its best crop."""

    faces: int
    segments: tuple[Segment, ...]
    crop: Crop | None


@dataclass(frozen=True, slots=True)
class Appearance:
    """One per profile and video, with one crop. `faces` counts sightings; times in seconds."""

    faces: int
    seconds: float
    first_seen: float
    last_seen: float
    segments: tuple[Segment, ...]
    crop: Crop | None


def appearance_of(people: Iterable[Presence | VideoPerson], gap: float = GAP) -> Appearance:
    """One appearance from one or more persons of one video, in any order. Raises ValueError where there is none.

    Where more than MOST_SEGMENTS would be left, `gap` is doubled until they are few enough.
    """
    present = list(people)
    if not present:
        raise ValueError("an appearance needs a person")
    segments = join_segments((segment for person in present for segment in person.segments), gap)
    while len(segments) > MOST_SEGMENTS:
        gap *= 2
        segments = join_segments(segments, gap)
    return Appearance(
        faces=sum(person.faces for person in present),
        seconds=sum(segment.end - segment.start for segment in segments),
        first_seen=segments[0].start,
        last_seen=max(segment.end for segment in segments),
        segments=segments,
        crop=best_crop(person.crop for person in present),
    )
