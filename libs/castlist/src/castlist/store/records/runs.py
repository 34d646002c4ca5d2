"""Work on a run: its plan, the results of its chunks, the attempts at its jobs."""

from datetime import datetime

import msgspec

from castlist.contract.values import AnalysisSettings, Hole, StoredObject, Stretch, VideoWarning
from castlist.store.records.collection import AGGREGATOR, REPLAYED, WORKERS, Collection, index
from castlist.store.records.record import Record


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


PLANS = Collection(
    name="plans",
    record=PlanRecord,
    id="run",
    owner=WORKERS,
    writers=(AGGREGATOR,),
    readers=(),
    kept="until a minute after its task has ended, 90 days if it came later",
    growth="runs under way",
    indexes=(index(PlanRecord.created_at, expireAfterSeconds=REPLAYED),),
)
CHUNKS = Collection(
    name="chunks",
    record=ChunkResultRecord,
    id="run:chunk:digest:part",
    owner=AGGREGATOR,
    writers=(),
    readers=(WORKERS,),
    kept="until a minute after its task has ended, 90 days if there is none",
    growth="seconds of video under way",
    indexes=(
        index(ChunkResultRecord.at, expireAfterSeconds=REPLAYED),
        # All that is asked at every result: answered without reading one.
        index(
            ChunkResultRecord.run,
            ChunkResultRecord.chunk,
            ChunkResultRecord.part,
            ChunkResultRecord.parts,
            ChunkResultRecord.tracks,
            ChunkResultRecord.bytes,
            ChunkResultRecord.id,
        ),
    ),
)
ATTEMPTS = Collection(
    name="attempts",
    record=AttemptsRecord,
    id="run:chunk or run:plan",
    owner=WORKERS,
    writers=(AGGREGATOR,),
    readers=(),
    kept="until the job's result is stored, or a minute after its task has ended, 90 days if there is none",
    growth="jobs under way",
    indexes=(index(AttemptsRecord.begun_at, expireAfterSeconds=REPLAYED),),
)
