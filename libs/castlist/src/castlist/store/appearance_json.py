"""An appearance as clients see it: the JSON of `api.appearances.Appearance`, written once and passed on from then."""

from typing import Any

import orjson

from castlist.contract.values import Crop
from castlist.store.records.appearances import AppearanceRecord


def crop_document(crop: Crop) -> dict[str, Any]:
    """Where to get the picture of a face, and where it is in which frame."""
    return {
        "url": f"/{crop.key}",
        "time": crop.time,
        "box": crop.box,
        "frame": crop.frame,
        "quality": crop.quality,
    }


def appearance_json(one: AppearanceRecord, video_name: str) -> bytes:
    """Its document, as text."""
    return orjson.dumps(
        {
            "video_id": one.video_id,
            "video_name": video_name,
            "first_seen": one.first_seen,
            "last_seen": one.last_seen,
            "seconds": one.seconds,
            "faces": one.faces,
            "segments": one.segments,
            "crop": one.crop and crop_document(one.crop),
            "manual": one.manual,
        }
    )
