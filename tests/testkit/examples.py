"""One example of every event, with every field set."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from castlist.contract import events as e
from castlist.contract.box import Box
from castlist.contract.commands import Card, EnrolledPicture
from castlist.contract.ids import enrolment_id
from castlist.contract.values import (
    AnalysisSettings,
    Crop,
    EncodedFace,
    FrameSize,
    LeftOutFace,
    Segment,
    Sighting,
    StoredObject,
    Track,
    VideoWarning,
)
from castlist.contract.vectors import encode_vector

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
BOX = Box(left=10, top=20, width=30, height=40)
CROP = Crop(key="crops/v/1/0-0.jpg", time=1.5, box=BOX, frame=FrameSize(width=640, height=480), quality=0.75)
TRACK = Track(
    track=0,
    sightings=(Sighting(time=1.5, box=BOX, score=0.5),),
    faces=(
        EncodedFace(
            time=1.5,
            box=BOX,
            score=0.5,
            quality=0.25,
            encoding=encode_vector(np.linspace(-1, 1, 128, dtype="<f4")),
        ),
    ),
    crop=CROP,
)
OBJECT = StoredObject(bucket="castlist", key="videos/one", etag="0123")


def examples() -> list[e.Event]:
    """An event of each type."""
    return [_make(kind) for kind in _KINDS]


def example(kind: type[e.Event], **changes: Any) -> Any:
    """An event of one type, with `changes`."""
    return _make(kind, **changes)


_VALUES: dict[str, Any] = {
    "video_id": "video-1",
    "epoch": 2,
    "gallery": "default",
    "object": OBJECT,
    "name": "one.mp4",
    "bytes": 123,
    "sha256": "ab" * 32,
    "recorded_at": AT,
    "external_id": "theirs",
    "chunk": 1,
    "chunks": 3,
    "start": 15.0,
    "end": None,
    "window": 4,
    "duration": 40.25,
    "width": 640,
    "height": 480,
    "frame_rate": 25.0,
    "warnings": (VideoWarning("truncated", "The file ends early.", 31.2, None),),
    "frames": 375,
    "tracks": (TRACK,),
    "faces_skipped": {"small": 3},
    "left_out": (LeftOutFace(16.2, Box(1, 2, 20, 20), "small"),),
    "part": 0,
    "parts": 1,
    "command_id": "e5c9c1d3",
    "kind": "rename_profile",
    "code": "unreadable",
    "message": "It is no video.",
    "fraction": 0.5,
    "people": 2,
    "profile_id": "profile-1",
    "settings": AnalysisSettings(samples_per_second=10.0),
    "across_video_distance": 0.5,
    "gallery_version": 7,
    "index": 1,
    "persons": ("video-1:2:0",),
    "segments": (Segment(start=1.0, end=2.5),),
    "seconds": 1.5,
    "faces": 9,
    "crop": CROP,
    "person": "video-1:2:0",
    "from_profile": "profile-1",
    "to_profile": "profile-2",
    "retired": "profile-1",
    "into": "profile-2",
    "task_id": "task-1",
    "status": "failed",
    "birth_date": "1815-12-10",
    "notes": "Speaks at the opening.",
    "tags": ("guest",),
    "favourite": True,
    "hidden": False,
    "cover": "video-1",
    "by": "newsroom",
    "if_revision": 6,
    "card": Card(name="Ada Lovelace", birth_date="1815-12-10"),
    "changed": ("name", "birth_date"),
    "profiles": ("profile-2",),
    "videos": ("video-1",),
    "track_ids": ("video-1:2:0:3",),
    "reason": "not_a_face",
    "suggestion_id": "5f0c3f0e",
    "answer": "same",
    "change_id": "e5c9c1d3",
    "box": BOX,
    "manual": False,
    "objection_id": "e5c9c1d3",
    "picture": EnrolledPicture(face=TRACK.faces[0], frame=FrameSize(640, 480)),
    "enrolment_id": enrolment_id("e5c9c1d3"),
    "crops": (CROP,),
    "pictures": (EnrolledPicture(face=TRACK.faces[0], frame=FrameSize(640, 480)),),
    "cropped": True,
    "watch_id": "watch-1",
    "watched": "profile-2",
    "first_seen": 1.0,
    "last_seen": 2.5,
}


def _kinds(kind: type[e.Event]) -> list[type[e.Event]]:
    below = [found for sub in kind.__subclasses__() for found in _kinds(sub)]
    return below or [kind]


_KINDS = _kinds(e.Event)


def _make(kind: type[e.Event], **changes: Any) -> Any:
    values = {name: _VALUES[name] for name in kind.model_fields if name in _VALUES}
    return kind.model_validate({"event_id": f"id-{kind.__name__}", "occurred_at": AT, **values, **changes})
