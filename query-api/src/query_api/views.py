"""Stored documents as clients see them: plain dictionaries of the shapes in schemas.py (a test compares)."""

from datetime import datetime

from castlist.ports.documents import Document
from castlist.tasks.lifecycle import PROCESSING
from query_api.http.responses import instant


def task(row: Document, people: int | None, now: datetime) -> Document:
    """A task; `people` once it is done."""
    eta = None
    if row["status"] == PROCESSING and row["started_at"] and row["progress"] > 0:
        spent = (now - row["started_at"]).total_seconds()
        eta = round(max(0.0, spent * (1 - row["progress"]) / row["progress"]), 1)
    return {
        "id": row["_id"],
        "video_id": row["video_id"],
        "video_name": row["video_name"],
        "gallery": row["gallery"],
        "epoch": row["epoch"],
        "status": row["status"],
        "progress": row["progress"],
        "chunks_done": row["chunks_done"],
        "chunks_planned": row["chunks_planned"],
        "people": people,
        "settings": row.get("settings"),
        "faces_skipped": row["faces_skipped"],
        "warnings": row["warnings"],
        "error": row["error"],
        "created_at": instant(row["created_at"]),
        "started_at": instant(row["started_at"]),
        "finished_at": instant(row["finished_at"]),
        "eta_seconds": eta,
    }


def appearance(row: Document, name: str) -> Document:
    """An appearance in the video of that name."""
    crop = row["crop"]
    return {
        "video_id": row["video_id"],
        "video_name": name,
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
        "seconds": row["seconds"],
        "faces": row["faces"],
        "segments": row["segments"],
        "crop": None
        if crop is None
        else {
            "url": f"/{crop['key']}",
            "time": crop["time"],
            "box": crop["box"],
            "frame": crop["frame"],
            "quality": crop["quality"],
        },
    }


def profile(row: Document, appearances: list[Document]) -> Document:
    """A profile with these appearances."""
    return {
        "id": row["_id"],
        "gallery": row["gallery"],
        "name": row["name"],
        "created_at": instant(row["created_at"]),
        "updated_at": instant(row["updated_at"]),
        "video_count": row["video_count"],
        "appearances": appearances,
    }


def video(row: Document) -> Document:
    """A video."""
    return {
        "id": row["_id"],
        "gallery": row["gallery"],
        "name": row["name"],
        "bytes": row["bytes"],
        "sha256": row["sha256"],
        "duration": row["duration"],
        "width": row["width"],
        "height": row["height"],
        "frame_rate": row["frame_rate"],
        "recorded_at": instant(row["recorded_at"]),
        "external_id": row["external_id"],
        "latest_task_id": row["latest_task_id"],
        "created_at": instant(row["created_at"]),
    }
