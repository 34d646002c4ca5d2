"""What is in a gallery's archive, and its seal. docs/archive.md describes it; ADR 16 says why it is so."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from castlist.contract.values import GallerySettings
from castlist.store.records.change_history import ChangeRecord, DecisionRecord, ObjectionRecord
from castlist.store.records.persons import LeftOutRecord, PersonRecord, PlacesRecord, TracksRecord
from castlist.store.records.profiles import ProfileRecord, RedirectRecord
from castlist.store.records.record import Record
from castlist.store.records.tasks import TaskRecord
from castlist.store.records.videos import VideoRecord

FORMAT, VERSION = "castlist-gallery", 1
ENCODER = "dlib_face_recognition_resnet_model_v1"
"""What the encodings were made with; those of another encoder cannot be compared with these."""
MEDIA_TYPE = "application/x-tar"
ABOUT, PEOPLE, DECISIONS, VIDEOS, SEAL = (
    "castlist.json",
    "people.jsonl",
    "decisions.jsonl",
    "videos.jsonl",
    "seal.json",
)
CONTENTS = "contents/"
"""Entries under it are files of videos, by their ids. Crops have the names that they have in S3."""
LONGEST_LINE = 20 * 1024 * 1024
"""Bytes of a line: a document of MongoDB, its binary parts in base64."""


class ArchiveError(Exception):
    """It is no archive that can be imported; the text says why."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The first entry: whose people these are. `installation` is where they were exported from; `gallery_version` the
    version of the gallery that all the rest is of."""

    format: str
    version: int
    encoder: str
    installation: str
    gallery: str
    gallery_version: int
    settings: GallerySettings | None
    distance: float | None
    stages: int
    sampled: bool
    faces_skipped: dict[str, int]
    committed_at: datetime | None


class AppearanceSince(Record, frozen=True, kw_only=True):
    """Of an appearance: whose it is, where, and since when it is shown as it is: lists have the newest first."""

    profile_id: str
    video_id: str
    created_at: datetime


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the other entries: one of these records, with those of its fields that are not as they are by default.

    `people.jsonl` has profiles and redirects; `decisions.jsonl` changes, decisions, objections, and the places of
    persons whom decisions name though they are not there; `videos.jsonl` the persons of enrolments, then each video
    with what follows it until the next one.
    """

    profile: ProfileRecord | None = None
    redirect: RedirectRecord | None = None
    change: ChangeRecord | None = None
    decision: DecisionRecord | None = None
    objection: ObjectionRecord | None = None
    places: PlacesRecord | None = None
    video: VideoRecord | None = None
    task: TaskRecord | None = None
    person: PersonRecord | None = None
    appearance: AppearanceSince | None = None
    left_out: LeftOutRecord | None = None
    tracks: TracksRecord | None = None


LINES: Mapping[str, frozenset[str]] = {
    PEOPLE: frozenset({"profile", "redirect"}),
    DECISIONS: frozenset({"change", "decision", "objection", "places"}),
    VIDEOS: frozenset({"video", "task", "person", "places", "appearance", "left_out", "tracks"}),
}
"""Which records each entry has."""


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """The last entry: how many there are before it, and a digest of them all."""

    entries: int
    sha256: str


class Sealing:
    """The digest of an archive, entry by entry: of the name, the size and the SHA-256 of each."""

    def __init__(self) -> None:
        self._entries, self._digest = 0, hashlib.sha256()

    def add(self, name: str, size: int, sha256: str) -> None:
        """The next entry."""
        self._entries += 1
        self._digest.update(f"{name}\n{size}\n{sha256}\n".encode())

    def seal(self) -> Seal:
        """What closes the archive."""
        return Seal(entries=self._entries, sha256=self._digest.hexdigest())
