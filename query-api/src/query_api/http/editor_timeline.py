"""OpenTimelineIO: a video with markers, or stretches of several, as its JSON has it (Timeline.1, Clip.2, Marker.2)."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from query_api.http.edit_decisions import Marker, Stretch
from query_api.http.timecode import FrameClock

MEDIA_TYPE = "application/x-opentimelineio"
_COLOURS = ("BLUE", "CYAN", "GREEN", "YELLOW", "RED", "PINK", "ORANGE", "PURPLE", "MAGENTA", "WHITE")


def marked_video(name: str, duration: float, markers: Iterable[Marker], clock: FrameClock) -> dict[str, Any]:
    """One clip, all of the video, with a marker for each stretch in which somebody is on screen."""
    ordered = sorted(markers)
    people = list(dict.fromkeys(one.person for one in ordered))
    marked = [
        {
            "OTIO_SCHEMA": "Marker.2",
            "name": one.text,
            "color": _COLOURS[people.index(one.person) % len(_COLOURS)],
            "comment": "",
            "marked_range": _range(one.start, one.end, clock),
            "metadata": {"castlist": {"profile_id": one.person}},
        }
        for one in ordered
    ]
    end = max([duration, *(one.end for one in ordered)])
    return _timeline(name, [_clip(name, 0.0, end, clock, marked)], clock)


def cut_together(name: str, stretches: Iterable[tuple[Stretch, str]], clock: FrameClock) -> dict[str, Any]:
    """A clip for each stretch, one behind the other, each with the id of its video."""
    clips = [_clip(one.video, one.start, one.end, clock, [], {"video_id": id}) for one, id in stretches]
    return _timeline(name, clips, clock)


def _timeline(name: str, clips: Sequence[Any], clock: FrameClock) -> dict[str, Any]:
    track = {**_composition("Track.1", "V1", clips), "kind": "Video"}
    return {
        "OTIO_SCHEMA": "Timeline.1",
        "name": name,
        "global_start_time": _time(0, clock),
        "metadata": {},
        "tracks": _composition("Stack.1", "tracks", [track]),
    }


def _composition(schema: str, name: str, children: Sequence[Any]) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": name,
        "source_range": None,
        "effects": [],
        "markers": [],
        "enabled": True,
        "metadata": {},
    }
    return {"OTIO_SCHEMA": schema, **item, "children": list(children)}


def _clip(
    video: str,
    start: float,
    end: float,
    clock: FrameClock,
    markers: Sequence[Any],
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Clip.2",
        "name": video,
        "source_range": _range(start, end, clock),
        "media_references": {
            "DEFAULT_MEDIA": {
                "OTIO_SCHEMA": "ExternalReference.1",
                "name": video,
                "target_url": quote(video),
                "available_range": None,
                "available_image_bounds": None,
                "metadata": {},
            }
        },
        "active_media_reference_key": "DEFAULT_MEDIA",
        "effects": [],
        "markers": list(markers),
        "enabled": True,
        "metadata": {"castlist": metadata} if metadata else {},
    }


def _range(start: float, end: float, clock: FrameClock) -> dict[str, Any]:
    first = clock.frames(start)
    length = max(1, clock.frames(end) - first)
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": _time(first, clock), "duration": _time(length, clock)}


def _time(frames: int, clock: FrameClock) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": clock.rate, "value": float(frames)}
