"""Which objects in S3 may be videos, of all that our key can read, and which are."""

import re
from dataclasses import dataclass

from castlist.contract.ids import ARCHIVES, BUCKET_PATTERN, CROPS, OWN_UPLOADS, uploaded_video_id
from castlist.contract.values import StoredObject
from castlist.ports.objects import Objects
from castlist.store.query import eq_part
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store

_OURS = [[prefix.removesuffix("/")] for prefix in (OWN_UPLOADS, CROPS, ARCHIVES)]


@dataclass(frozen=True)
class AllowedObjects:
    """The places, each a bucket and a folder in it (empty: all of it), whose objects anybody may announce.

    Never what our services keep in our own `bucket` (what ingest was given, what was cut out of videos, archives):
    whoever announced it could read and delete what is others'.
    """

    bucket: str
    places: tuple[tuple[str, str], ...]

    @classmethod
    def told(cls, bucket: str, places: str) -> "AllowedObjects":
        """From a setting: `bucket` or `bucket/folder`, with commas between; empty is our own bucket.

        ValueError for what is no bucket.
        """
        told = [place.strip().partition("/") for place in (places or bucket).split(",")]
        for name, _, _ in told:
            if not re.fullmatch(BUCKET_PATTERN, name):
                raise ValueError(f"{name!r} is not the name of a bucket")
        return cls(bucket, tuple((name, folder.strip("/")) for name, _, folder in told))

    def announceable(self, bucket: str, key: str) -> bool:
        """Whether anybody may say that this object is a video."""
        steps = [step for step in key.split("/") if step]
        if {".", ".."} & set(steps) or (bucket == self.bucket and steps[:1] in _OURS):
            return False
        return any(bucket == name and (not folder or key.startswith(f"{folder}/")) for name, folder in self.places)

    def readable(self, video: VideoRecord) -> bool:
        """Whether the video's object may be looked through and shown: ingest wrote it for this video, or it may be
        announced."""
        stored = video.object
        return (stored.bucket == self.bucket and by_ingest(video)) or self.announceable(stored.bucket, stored.key)

    def refusal(self, bucket: str) -> str:
        """What whoever announced another object is told."""
        return f"An object of {bucket} under this key may not be announced here; ALLOWED_OBJECTS says which may."


def by_ingest(video: VideoRecord) -> bool:
    """Whether ingest wrote the object for this very video."""
    if video.uploaded is not None or video.sha256 is None:
        return bool(video.uploaded)
    return video.object.key.startswith(OWN_UPLOADS) and video.id == uploaded_video_id(video.gallery, video.sha256)


async def is_named(store: Store, stored: StoredObject) -> bool:
    """Whether a video's object lies there, whichever version of it."""
    same_key = eq_part(VideoRecord.object, "key", stored.key)
    return await store.videos.count(same_key & eq_part(VideoRecord.object, "bucket", stored.bucket)) > 0


async def remove_upload(store: Store, objects: Objects, stored: StoredObject) -> bool:
    """Remove the object of a video that is gone, if ingest wrote it and no other video names it: True. Safe to
    repeat."""
    by_ingest = stored.bucket == objects.bucket and stored.key.startswith(OWN_UPLOADS)
    if not by_ingest or await is_named(store, stored):
        return False
    await objects.delete(stored.key)
    return True
