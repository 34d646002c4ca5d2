"""A video person: one person as found by one run; where it was, and the faces that are in nobody."""

from castlist.contract.values import Crop, LeftOutFace
from castlist.store.records.collection import AGGREGATOR, QUERY, Collection, index
from castlist.store.records.record import Record


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


PERSONS = Collection(
    name="persons",
    record=PersonRecord,
    id="run:n",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="from when it is found, as long as its video, or until a newer run replaces it",
    growth="people in videos",
    indexes=(
        index(PersonRecord.gallery, PersonRecord.id),
        index(PersonRecord.video_id),
        index(PersonRecord.profile_id),
    ),
)
PLACES = Collection(
    name="places",
    record=PlacesRecord,
    id="run:n",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="as long as its person",
    growth="people in videos",
)
LEFT_OUT = Collection(
    name="left_out",
    record=LeftOutRecord,
    id="run",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="from when a run's people are found, as long as its video, or until a newer run replaces it",
    growth="videos",
)
TRACKS = Collection(
    name="tracks",
    record=TracksRecord,
    id="run:part",
    owner=AGGREGATOR,
    writers=(),
    readers=(QUERY,),
    kept="from when a run's people are found, as long as its video, or until a newer run replaces it",
    growth="seconds that people are on screen",
)
