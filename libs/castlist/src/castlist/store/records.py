"""What lies in MongoDB: one record a collection, and the parts of records that are read without the rest.

Fields that a newer version wrote are passed over when a record is read, and stay in MongoDB when one is changed: a
change names the fields that it is about. A field that comes later has a default, which stands for records of before.
Warnings were codes alone in 0.1.0: `castlist.contract.video_warnings.as_warning` reads both.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

from castlist.contract.ids import video_of_person
from castlist.contract.values import (
    AnalysisSettings,
    Crop,
    GallerySettings,
    Hole,
    LeftOutFace,
    Segment,
    StoredObject,
    Stretch,
    VideoWarning,
)

Status = Literal["queued", "processing", "done", "failed", "cancelled"]


def in_milliseconds(seconds: float) -> int:
    """The nearest whole number of milliseconds."""
    return round(seconds * 1000)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A document; `id` is its `_id`."""

    id: str = msgspec.field(name="_id")


# --- videos and tasks -------------------------------------------------------------------------------------------------


class VideoRecord(Record, frozen=True, kw_only=True):
    """A stored object in a gallery. The media facts are there once it was planned; sizes are of the upright frame."""

    gallery: str
    name: str
    bytes: int | None
    sha256: str | None
    object: StoredObject
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    recorded_at: datetime | None
    external_id: str | None
    created_at: datetime
    latest_epoch: int
    latest_task_id: str
    committed_epoch: int | None = None
    """the run whose people are in the gallery"""
    uploaded: bool | None = None
    """whether ingest wrote the object for this very video; None before that was noted: its id tells"""
    identify: bool = True
    """whether its people may be matched with those of other videos"""


class VideoName(Record, frozen=True, kw_only=True):
    """Of a video: what it is called."""

    name: str


class VideoMoment(Record, frozen=True, kw_only=True):
    """Of a video: its name, when it was recorded, as far as that is known, and when it came."""

    name: str
    recorded_at: datetime | None
    created_at: datetime

    @property
    def at(self) -> datetime:
        """The moment that stands for it in the lives of those who are in it."""
        return self.recorded_at or self.created_at


class VideoEpoch(Record, frozen=True, kw_only=True):
    """Of a video: its latest run."""

    latest_epoch: int


class CommittedEpoch(Record, frozen=True, kw_only=True):
    """Of a video: the run whose people are in the gallery."""

    committed_epoch: int | None = None


class TaskError(msgspec.Struct, frozen=True):
    """Why a task failed or was cancelled; `code` is one of `castlist.tasks.lifecycle.ERROR_CODES`."""

    code: str
    message: str


class TaskRecord(Record, frozen=True, kw_only=True):
    """One run over a video. `status` never leaves a final state; `settings` are those of its plan."""

    video_id: str
    video_name: str
    gallery: str
    epoch: int
    status: Status
    progress: float = 0.0
    chunks_done: int = 0
    chunks_planned: int | None = None
    settings: AnalysisSettings | None = None
    faces_skipped: dict[str, int] = {}
    warnings: tuple[VideoWarning | str, ...] = ()
    error: TaskError | None = None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    clear_after: datetime | None = None
    """when what it was worked out from may go; None before it ended, and once that is gone"""
    announced: int = 0
    """how often the reconciler has announced its work again"""
    announce_after: datetime | None = None
    """not before then once more"""


class SkippedFaces(Record, frozen=True, kw_only=True):
    """Of a task: how many faces nobody is made of, by reason."""

    faces_skipped: dict[str, int] = {}


class UploadRecord(Record, frozen=True, kw_only=True):
    """An object being written, by its key, so that what a crash leaves can be found. The transaction that makes it a
    video's removes the record.

    `condemned`: the sweep is taking it away, and it cannot be accepted any more.
    """

    started_at: datetime
    touched_at: datetime
    condemned: bool = False


class UploadStart(Record, frozen=True, kw_only=True):
    """Of an upload: when it began."""

    started_at: datetime


class CancelRecord(Record, frozen=True, kw_only=True):
    """A run that was cancelled, whatever comes later."""

    at: datetime


class ResolvedCancelRecord(Record, frozen=True, kw_only=True):
    """Which epoch a cancel without one meant, by `video:event`: resolved once."""

    epoch: int
    at: datetime


class DeletedVideoRecord(Record, frozen=True, kw_only=True):
    """A video that was deleted: its id may come again, its epochs up to this one may not, and are not wanted."""

    latest_epoch: int
    at: datetime


# --- work on a run ----------------------------------------------------------------------------------------------------


class ChunkSpan(msgspec.Struct, frozen=True):
    """A chunk's part of the video in seconds; None is open. Of the rest `ChunkPlanned` tells."""

    start: float | None
    end: float | None
    stretches: tuple[Stretch, ...] = ()
    holes: tuple[Hole, ...] = ()


class PlanRecord(Record, frozen=True, kw_only=True):
    """How a run's video is cut; the first plan stands. `object` has the ETag that was planned with."""

    gallery: str
    object: StoredObject
    chunks: tuple[ChunkSpan, ...]
    settings: AnalysisSettings = AnalysisSettings()
    window: int
    duration: float
    width: int
    height: int
    frame_rate: float
    warnings: tuple[VideoWarning | str, ...] = ()
    created_at: datetime


class ChunkResultRecord(Record, frozen=True, kw_only=True):
    """A part of a chunk's result: `event` is the `FacesEncoded` as JSON, of so many `bytes`. In MongoDB its run is
    called `attempt`."""

    run: str = msgspec.field(name="attempt")
    chunk: int
    part: int
    parts: int
    tracks: int | None = None
    bytes: int | None = None
    event: str
    at: datetime


class ResultRun(Record, frozen=True, kw_only=True):
    """Of a chunk's result: the run it is of."""

    run: str = msgspec.field(name="attempt")


class ReceivedPart(Record, frozen=True, kw_only=True):
    """Of a chunk's result: which part of how many it is, and how large (None: it is from before that was written)."""

    chunk: int
    part: int
    parts: int
    tracks: int | None = None
    bytes: int | None = None


class AttemptsRecord(Record, frozen=True, kw_only=True):
    """Attempts at a job (`run:chunk`, `run:plan`), recorded before the work starts."""

    owner: str
    running: bool = False
    begun_at: datetime | None = None
    attempts: int = 0
    vanished: int = 0
    strikes: int = 0
    bugs: int = 0
    message: str = ""


# --- galleries --------------------------------------------------------------------------------------------------------


class GalleryRecord(Record, frozen=True, kw_only=True):
    """A namespace of people. Each commit compares and swaps `version`; `distance` is what persons join up to.

    `stages` is in how many its people were matched last; `sampled` is said once crowds are known by samples.
    """

    version: int
    created_at: datetime
    settings: GallerySettings | None = None
    distance: float | None = None
    stages: int = 1
    sampled: bool = False
    committed_at: datetime | None = None
    told: int | None = None
    """the last version that has events; None: none yet, or of before 0.2.0"""
    suggestions_due: bool = False
    faces_skipped: dict[str, int] = {}
    """faces that nobody is made of, by reason, in the runs whose people are in it"""
    asked_by: str | None = None
    """by which request it was made; None: by being used"""
    deletion: str | None = None
    """the change that is deleting it: meanwhile nothing comes to it"""
    deleted_at: datetime | None = None
    """when it was deleted: it is shown nowhere, and begins anew, with a higher version, where it is used again"""
    importing: str | None = None
    """the command whose archive is on its way into it: nothing else is committed until all of that is there"""


class PersonRecord(Record, frozen=True, kw_only=True):
    """A video person: one person as found by one run (`run:n`). `profile_id` is there once it is committed.

    `mean` is 128 little-endian float32, and empty for somebody whom no run has found (`video:0:n`). `apart` numbers the
    persons of the run that were seen together with this one.
    """

    gallery: str
    video_id: str
    epoch: int
    n: int
    mean: bytes
    variance: float
    faces: int
    segments: tuple[tuple[float, float], ...]
    seconds: float
    first_seen: float
    last_seen: float
    crop: Crop | None
    apart: tuple[int, ...]
    tracks: bytes = b""
    """which tracks of the run it was put together of: pairs of chunk and track, little-endian uint32, in order"""
    name: str | None = None
    profile_id: str | None = None
    round: int = 0
    follows: bool = False
    """in which round of sampling it is clustered, or follows a cluster"""
    unmatched: bool = False
    """whether a decision keeps it out of all profiles"""


class PersonEncoding(Record, frozen=True, kw_only=True):
    """Of a person: what matching needs."""

    video_id: str
    epoch: int
    mean: bytes
    variance: float
    apart: tuple[int, ...]
    name: str | None = None
    profile_id: str | None = None
    round: int = 0
    follows: bool = False


class PersonFace(Record, frozen=True, kw_only=True):
    """Of a person: what it takes to be found by a picture."""

    mean: bytes
    variance: float
    profile_id: str | None = None


class PersonPresence(Record, frozen=True, kw_only=True):
    """Of a person: when it is there, for an appearance."""

    epoch: int
    faces: int
    segments: tuple[tuple[float, float], ...]
    crop: Crop | None


class PlacesRecord(Record, frozen=True, kw_only=True):
    """Where a video person (its id) was, moment by moment: rows of time, left, top, width, height, little-endian
    float32. Asked for only when the video is done again."""

    places: bytes


class LeftOutRecord(Record, frozen=True, kw_only=True):
    """Faces that a run has found and that are in nobody (its id): some of those that its task counts in
    `faces_skipped`, each with its time, its box and the reason."""

    faces: tuple[LeftOutFace, ...]


class TracksRecord(Record, frozen=True, kw_only=True):
    """Where those tracks of a run were that somebody is made of (`run:part`), as `store.packed_tracks` has them; all
    between two times of the video."""

    start: float
    end: float
    tracks: bytes


class PersonTracks(Record, frozen=True, kw_only=True):
    """Of a person: whose it is, and which tracks of its run it was put together of."""

    tracks: bytes = b""
    profile_id: str | None = None


class PersonRun(Record, frozen=True, kw_only=True):
    """Of a person: in which run it was found, and in which of its tracks."""

    video_id: str
    epoch: int
    tracks: bytes = b""


class PersonProfile(Record, frozen=True, kw_only=True):
    """Of a person: whose it is."""

    profile_id: str | None = None


class Picture(msgspec.Struct, frozen=True):
    """By which a profile is known: the person that it is in the gallery, and its crop."""

    person: str
    crop: Crop | None = None


class ProfileRecord(Record, frozen=True, kw_only=True):
    """One person in a gallery. `founder` is the video person it was made for, `version` the commit that made it.

    `revision` is the gallery's version at which its card, or a decision about it, changed last. `cover` names the video
    whose crop was chosen. `birth_date` is ISO 8601. `folded_name` is the name as `contract.text.folded` has it, kept by
    who writes the name. `first_seen` and `last_seen` are the earliest and the latest moment
    of its videos (`VideoMoment.at`); `milliseconds` is how long it is seen in all of them.
    """

    gallery: str
    name: str | None
    folded_name: str | None = None
    external_id: str | None = None
    birth_date: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    favourite: bool = False
    hidden: bool = False
    cover: str | None = None
    revision: int = 0
    created_at: datetime
    updated_at: datetime
    founder: str | None = None
    version: int = 0
    video_count: int
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    milliseconds: int = 0
    pictures: tuple[Picture, ...] = ()
    """by which it is known besides the videos that it was seen in"""


class ProfileTotals(Record, frozen=True, kw_only=True):
    """Of a profile: what its appearances and its pictures add up to."""

    first_seen: datetime | None = None
    last_seen: datetime | None = None
    milliseconds: int = 0
    pictures: tuple[Picture, ...] = ()

    @property
    def enrolments(self) -> int:
        """How many pseudo-videos its pictures are of."""
        return len({video_of_person(one.person) for one in self.pictures})


class ProfileName(Record, frozen=True, kw_only=True):
    """Of a profile: what it is called, and whether it is to be shown."""

    name: str | None
    hidden: bool = False


class ProfileHidden(Record, frozen=True, kw_only=True):
    """Of a profile: whether it is shown to those alone who ask for hidden ones."""

    hidden: bool = False


class ProfileSeen(Record, frozen=True, kw_only=True):
    """Of a profile: when it was seen last."""

    last_seen: datetime | None = None


class ProfileFounder(Record, frozen=True, kw_only=True):
    """Of a profile or a redirect: who founded it, and when."""

    founder: str | None = None
    version: int = 0


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


class RedirectRecord(Record, frozen=True, kw_only=True):
    """A retired profile's id: it leads to the profile that holds its founder, or to `into` if the founder is gone."""

    gallery: str
    into: str | None
    founder: str | None
    version: int = 0
    at: datetime | None = None
    made_at: datetime | None = None
    """when the profile was made"""


class SuggestionRecord(Record, frozen=True, kw_only=True):
    """Two profiles that may be one person, the smaller id first; or one that may be two, and the videos of those of its
    appearances that fit the others least."""

    gallery: str
    kind: Literal["one", "two"] = "one"
    profiles: tuple[str, ...]
    videos: tuple[str, ...] = ()
    distance: float
    likeness: float = 0.5


# --- what waits for a gallery, and what was done ----------------------------------------------------------------------


class PendingRecord(Record, frozen=True, kw_only=True, tag_field="kind"):
    """What waits for a gallery: until it is committed the gallery is not settled."""

    gallery: str
    created_at: datetime


class PendingVideo(PendingRecord, frozen=True, kw_only=True, tag="people"):
    """The people of a run (its id), to be committed: so many, each in `persons`, without a profile yet."""

    video_id: str
    epoch: int
    people: int


class PendingCommand(PendingRecord, frozen=True, kw_only=True, tag="command"):
    """A command on the gallery, as JSON would hold it."""

    name: str
    command: dict[str, Any]


class PendingRecluster(PendingRecord, frozen=True, kw_only=True, tag="recluster"):
    """Which persons are to be clustered again: all behind `after` (None: none), and the components of `keys`."""

    after: str | None
    keys: tuple[str, ...]


class PreviewRecord(Record, frozen=True, kw_only=True):
    """Settings of which somebody asks (its change) what they would make of the gallery. `touched_at`: when a process
    was last at work on it, or it was asked."""

    gallery: str
    settings: GallerySettings
    touched_at: datetime


class CommandError(msgspec.Struct, frozen=True):
    """Why a command was not carried out; `code` is one of `castlist.tasks.commands.ERROR_STATUS`.

    `changes` are those that stand in its way.
    """

    code: str
    message: str
    changes: tuple[str, ...] = ()


class ChangeRecord(Record, frozen=True, kw_only=True):
    """A command on a gallery, by its event, and what became of it: what was changed by hand.

    `at`: when it was accepted. `digest` tells what was asked for from something else that was asked under the same id.
    `gallery_version` is the one it made, `profiles` are all that it changed, retired ones too; `detail` says more.
    `undoes`, `undone_by`: the change that this one takes back, or that took this one back.
    """

    gallery: str
    kind: str
    status: Literal["pending", "applied", "failed"] = "pending"
    at: datetime
    by: str | None = None
    digest: str | None = None
    error: CommandError | None = None
    settled_at: datetime | None = None
    gallery_version: int | None = None
    profiles: tuple[str, ...] = ()
    detail: dict[str, Any] = {}
    undoes: str | None = None
    undone_by: str | None = None
    receipt: dict[str, Any] | None = None
    """of an erasure, once all is gone: what, and what is left where for how long"""


class Origin(msgspec.Struct, frozen=True):
    """The persons that were in a profile."""

    profile: str
    persons: tuple[str, ...]


class DecisionRecord(Record, frozen=True, kw_only=True):
    """What a change (its id) says of video persons for as long as it holds: see
    `castlist_identity.decisions.decision.Decision`."""

    gallery: str
    version: int
    subjects: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()
    leaving: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    manual: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    card: dict[str, Any] = {}
    origins: tuple[Origin, ...] = ()
    into: str | None = None
    created: tuple[str, ...] = ()
    undone: int | None = None
    erased: bool = False


class ObjectionRecord(Record, frozen=True, kw_only=True):
    """Somebody who is to be found and never shown, by the change that says so: an encoding, as in a `PersonRecord`."""

    gallery: str
    mean: bytes
    at: datetime
    by: str | None = None


class ErasedPerson(msgspec.Struct, frozen=True):
    """Of somebody who was erased: in which run, and its tracks as in a `PersonRecord`, by which its crops are found."""

    video_id: str
    epoch: int
    tracks: bytes


class LogEnd(msgspec.Struct, frozen=True):
    """Of a topic's partition: the offset of the message that comes next."""

    topic: str
    partition: int
    offset: int


class ErasureRecord(Record, frozen=True, kw_only=True):
    """What is still to go of people, of a video, or of a gallery that was erased by the commit that made `version` of
    the gallery: crops, objects, what lies in MongoDB of what was said about them, and in Kafka.

    `change`: what it answers to; None where a later run had found the people again. `changes` are those that spoke of
    them, `persons` whose crops are to be found. The numbers are of what has gone so far. `ends`: up to where messages
    are to go; None before that was noted.
    """

    gallery: str
    version: int
    what: Literal["people", "video", "gallery"] = "people"
    change: str | None
    changes: tuple[str, ...] = ()
    persons: tuple[ErasedPerson, ...] = ()
    at: datetime
    videos: int = 0
    objects: int = 0
    people: int = 0
    crops: int = 0
    changed: int = 0
    ends: tuple[LogEnd, ...] | None = None


class LedgerRecord(Record, frozen=True, kw_only=True):
    """What was committed: `gallery:run`, or `gallery:command:event`."""

    at: datetime
    failed: bool = False


class GalleryLogRecord(Record, frozen=True, kw_only=True):
    """What a commit says on `profile.events`: the events as JSON, in their order, in as many parts as it takes."""

    gallery: str
    version: int
    part: int
    events: tuple[str, ...]
    at: datetime
    published_at: datetime | None = None
    number: int | None = None
    """its place in the gallery's feed, once it has one"""


class LoggedGallery(Record, frozen=True, kw_only=True):
    """Of a gallery's log: whose it is."""

    gallery: str


class RemovalRecord(Record, frozen=True, kw_only=True):
    """What is left behind of a video's runs from epoch `first` to `last`: crops, and people that came to no profile.

    `deleted`: with the video, all that was kept of these runs goes, and its `object`. `erasure`: what counts it.
    """

    video_id: str
    first: int
    last: int
    deleted: bool = False
    object: StoredObject | None = None
    at: datetime
    erasure: str | None = None


class OutboxRecord(Record, frozen=True, kw_only=True):
    """An event to publish, by its id, written in the transaction that makes it true. `order` sorts those of one."""

    topic: str
    key: str
    value: str
    created_at: datetime
    order: int
    published_at: datetime | None = None
    number: int | None = None
    """of what is said of a gallery: its place in the gallery's feed, once it has one"""


# --- the installation -------------------------------------------------------------------------------------------------


class InstallationRecord(Record, frozen=True, kw_only=True):
    """Which installation this is, drawn once."""

    name: str


class MigrationRecord(Record, frozen=True, kw_only=True):
    """A migration that was run, by its number."""

    done_at: datetime


class InstanceRecord(Record, frozen=True, kw_only=True):
    """Which process (its nonce) runs under a static Kafka member id."""

    nonce: str


class TopicsRecord(Record, frozen=True, kw_only=True):
    """How often topics had to be created in Kafka, and for how many of these times their loss was made good."""

    created: int = 0
    made_good: int = 0
