"""What lies in a stack's MongoDB, looked at with a plain synchronous client and not through our adapter."""

from typing import Any

from pymongo import MongoClient

Database = Any


def connect(url: str, name: str = "castlist") -> Database:
    """The database; close its `client` in the end."""
    return MongoClient(url, tz_aware=True, w="majority")[name]


def videos_of_profiles(database: Database, gallery: str) -> list[tuple[str, ...]]:
    """For each profile of the gallery, the videos it appears in, sorted."""
    profiles = [profile["_id"] for profile in database.profiles.find({"gallery": gallery})]
    return sorted(
        tuple(sorted(found["video_id"] for found in database.appearances.find({"profile_id": profile})))
        for profile in profiles
    )


def are_done(database: Database, gallery: str, count: int) -> bool:
    """Whether exactly `count` tasks of the gallery are done."""
    return bool(database.tasks.count_documents({"gallery": gallery, "status": "done"}) == count)


def all_published(database: Database, gallery: str) -> bool:
    """Whether Kafka has every event about the gallery: those of the outbox, and what its commits say."""
    waiting = (database.outbox, {"key": gallery}), (database.gallery_log, {"gallery": gallery})
    return all(table.count_documents({**of_it, "published_at": None}) == 0 for table, of_it in waiting)
