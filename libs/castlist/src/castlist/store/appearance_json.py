"""An appearance as clients see it: the JSON of `resources.Appearance`, written once and passed on from then."""

import orjson

from castlist.store.records import AppearanceRecord


def appearance_json(one: AppearanceRecord, video_name: str) -> bytes:
    """Its document, as text."""
    crop = one.crop and {
        "url": f"/{one.crop.key}",
        "time": one.crop.time,
        "box": one.crop.box,
        "frame": one.crop.frame,
        "quality": one.crop.quality,
    }
    return orjson.dumps(
        {
            "video_id": one.video_id,
            "video_name": video_name,
            "first_seen": one.first_seen,
            "last_seen": one.last_seen,
            "seconds": one.seconds,
            "faces": one.faces,
            "segments": one.segments,
            "crop": crop,
            "manual": one.manual,
        }
    )
