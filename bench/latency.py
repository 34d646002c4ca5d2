"""How long a short video takes on an idle stack, from the answer to its upload to its people, and where the time goes.

    python bench/latency.py [--runs 20]

Two-second clips of two people, each of other bytes and into a gallery of its own, go one after the other, at moments
drawn at random, through a stack of their own. The clock runs from the moment the 202 is here to the one at which a
client that follows the task's event stream is told that it is done.

In between, every time is one that the system itself recorded: when a message was handed to Kafka (its timestamp), when
a document says it was stored, or when a log line was written and how long it says that its step took. All on one
machine's clock, and each row begins where the one above ends: nothing can hide between them. A median of each row does
not add up to the median of the whole: that is the remainder. The last line is one JSON object. Exits 1 where the median
is above a second.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import Pressure, at_rest
from own_stack import own_stack

from castlist.contract.ids import run_key
from castlist.store.query import eq
from castlist.store.records.runs import ChunkResultRecord
from castlist_client.client import Client
from testkit.clips import in_other_bytes, two_people, write  # of the tests
from testkit.running_stack import RunningStack, connected, whole_topic

PROMISE = 1.0
WARM_UP = 3
STEPS = (
    "the event of the upload is published",
    "the planner takes it up",
    "the video is fetched",
    "it is probed, its plan stored",
    "its one chunk is published",
    "a worker takes the chunk up",
    "the worker has the file and a slot",
    "decoded, detected, encoded",
    "crops in S3, faces published",
    "the aggregator takes them up",
    "people found, and published",
    "their gallery takes them up, matches",
    "committed",
    "the client is told",
)


@dataclass(frozen=True)
class Followed:
    """One video as its client saw it: seconds since the epoch."""

    video_id: str
    task_id: str
    accepted: float
    taken_up: float
    told: float


async def follow(stack: RunningStack, clips: list[Path]) -> list[Followed]:
    """Put the clips in, one after the other."""
    seen: list[Followed] = []
    async with Client(stack.ingest_url, stack.query_url) as client, connected(stack) as (store, _):
        for clip in clips:
            await asyncio.sleep(random.uniform(1.0, 2.0))  # out of step with whatever looks once a second
            answer = await client.upload(clip, gallery=f"bench-{uuid.uuid4().hex[:8]}")
            accepted = time.time()
            async for task in client.watch(answer.task_id):
                last = task
            told = time.time()
            if not answer.began or last.status != "done":
                raise SystemExit(f"{answer} became {last}")
            # At once: a minute after the end nothing is kept of the results.
            (chunk,) = await store.chunks.find(eq(ChunkResultRecord.run, run_key(answer.video_id, 1)))
            seen.append(Followed(answer.video_id, answer.task_id, accepted, chunk.at.timestamp(), told))
    return seen


async def published(stack: RunningStack) -> dict[tuple[str, str], float]:
    """When each event about a video was handed to Kafka first, by its name and video."""
    times: dict[tuple[str, str], float] = {}
    for topic in ("video.uploaded", "video.chunks", "face.encodings", "gallery.commits"):
        for record in await whole_topic(stack, topic):
            event = json.loads(record.value)
            key, at = (event["event"], event["video_id"]), record.timestamp / 1000
            times[key] = min(times.get(key, at), at)
    return times


async def trace(stack: RunningStack, seen: list[Followed]) -> list[list[float]]:
    """For each video, the moments between which the steps lie: one more than there are steps."""
    sent = await published(stack)
    planned = {said["video"]: said for said in stack.logged("frame-workers", "video_planned")}
    fetched: dict[str, float] = {}
    for said in stack.logged("frame-workers", "object_fetched"):
        fetched.setdefault(said["video"], said["at"])
    worked = {said["video"]: said for said in stack.logged("frame-workers", "chunk_processed")}
    committed = {
        run: said["at"] for said in stack.logged("profile-aggregator", "gallery_committed") for run in said["videos"]
    }
    moments: list[list[float]] = []
    async with connected(stack) as (store, _):
        for one in seen:
            video, run = one.video_id, run_key(one.video_id, 1)
            task = await store.tasks.get(one.task_id)
            plan, work = planned[video], worked[video]
            assert task is not None
            assert task.finished_at is not None
            moments.append([
                one.accepted,
                sent["VideoUploaded", video],
                plan["at"] - plan["took"],
                fetched[video],
                plan["at"],
                sent["ChunkPlanned", video],
                work["at"] - work["took"] - work["waited"],
                work["at"] - work["took"],
                work["at"],
                sent["FacesEncoded", video],
                one.taken_up,
                sent["VideoPeopleFound", video],
                task.finished_at.timestamp(),
                committed[run],
                one.told,
            ])  # fmt: skip
    return moments


def show(moments: list[list[float]]) -> dict[str, Any]:
    """The table; what is to be kept of it."""
    totals = [one[-1] - one[0] for one in moments]
    commits = [one[-2] - one[0] for one in moments]
    median, p90 = statistics.median(totals), _p90(totals)
    rows: dict[str, tuple[float, float]] = {}
    for number, step in enumerate(STEPS):
        took = [one[number + 1] - one[number] for one in moments]
        rows[step] = statistics.median(took), _p90(took)
    rest = median - sum(middle for middle, _ in rows.values())
    print(f"{'ms':40}{'median':>8}{'p90':>8}{'share':>8}")
    for step, (middle, worst) in rows.items():
        print(f"{step:40}{1000 * middle:8.0f}{1000 * worst:8.0f}{middle / median:8.0%}")
    print(f"{'remainder':40}{1000 * rest:8.0f}{'':8}{rest / median:8.0%}")
    print(f"{'from the 202 to the client being told':40}{1000 * median:8.0f}{1000 * p90:8.0f}")
    print(f"{'from the 202 to the commit':40}{1000 * statistics.median(commits):8.0f}{1000 * _p90(commits):8.0f}")
    return {
        "runs": len(moments),
        "median_ms": round(1000 * median),
        "p90_ms": round(1000 * p90),
        "committed_median_ms": round(1000 * statistics.median(commits)),
        "steps_median_ms": {step: round(1000 * middle) for step, (middle, _) in rows.items()},
        "remainder_ms": round(1000 * rest),
        "kept": median <= PROMISE,
    }


def _p90(values: list[float]) -> float:
    return statistics.quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else values[0]


async def measure(stack: RunningStack, clips: list[Path]) -> list[list[float]]:
    """Moments of all but the first few, which warm it up."""
    pressure = Pressure()
    seen = await follow(stack, clips)
    print(pressure)
    return (await trace(stack, seen))[WARM_UP:]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    asked = parser.parse_args()
    before = at_rest()
    print(before, flush=True)
    with tempfile.TemporaryDirectory(prefix="castlist-bench-clips-") as name:
        folder = Path(name)
        clip = write(folder / "clip.mp4", two_people(1.0)).read_bytes()
        clips = [in_other_bytes(clip, folder / f"{number}.mp4") for number in range(asked.runs + WARM_UP)]
        with own_stack("latency", 2) as stack:
            moments = asyncio.run(measure(stack, clips))
    figures = show(moments)
    print(f"the promise of {PROMISE:.0f} s at the median is {'kept' if figures['kept'] else 'BROKEN'}")
    print(json.dumps({"before": before, **figures}))
    sys.exit(0 if figures["kept"] else 1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
