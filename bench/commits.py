"""How fast a backlog goes into a large gallery: videos a second, milliseconds a commit, and where the time goes.

    python bench/commits.py [--profiles 10000] [--videos 1000] [--batch 50] [--retune 0.42]

A gallery of synthetic people (encodings_of_people.py) is written into a database of its own, on the servers that the
environment names, or else on those of a stack of its own; then videos with two persons each, one of them known, are
pending, and the aggregator's own committer commits them and publishes on the real Kafka. The clock runs from the first
commit to the last event published, with the gallery loaded. Then the gallery gets another distance (`--retune`), and is
re-clustered in the background while a video comes twice a second. The last line is one JSON object.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
from encodings_of_people import Population
from filled_gallery import GALLERY, Known, fill, person, profile_id, wait_for_commit
from machine import Pressure, at_rest
from own_stack import servers

from castlist.adapters import mongo
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.clock import now_utc
from castlist.contract.commands import ChangeSettings
from castlist.contract.values import AnalysisSettings
from castlist.store import collections
from castlist.store.query import eq
from castlist.store.records.persons import PersonEncoding
from castlist.store.records.tasks import TaskRecord
from castlist.store.store import Store
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.matching.auto_distance import auto_distance
from castlist_identity.matching.partition import partition
from profile_aggregator.commits.commit_plan import CommitPlan
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog
from profile_aggregator.commits.maintenance import GalleryMaintenance
from profile_aggregator.videos.conversions import gallery_person

_MEANWHILE = 200
"""Videos that come during a re-clustering, at most."""


def crowd(population: Population, count: int) -> Iterator[Known]:
    """One profile for each person: everybody has been in one video."""
    for who in range(count):
        yield Known(profile_id(who), f"old-{who}", person(population, who, f"old-{who}", 0))


async def backlog(store: Store, population: Population, profiles: int, videos: int, first: int = 0) -> None:
    """Videos with somebody known and somebody new, found and not committed yet."""
    chance = np.random.default_rng(first)
    for i in range(first, first + videos):
        people, video = (int(chance.integers(profiles)), profiles + i), f"new-{i:05}"
        await wait_for_commit(store, [person(population, who, video, n) for n, who in enumerate(people)], video)


async def gallery_version(store: Store) -> int:
    """How many commits it has seen."""
    stored = await store.galleries.get(GALLERY)
    assert stored is not None
    return stored.version


async def set_distance(
    store: Store,
    committer: Committer,
    population: Population,
    distance: float,
    known: int,
    first: int,
) -> dict[str, float]:
    """Seconds to reach another distance, in how many commits, and ms of the videos' commits meanwhile."""
    command = ChangeSettings(
        event_id=uuid.uuid4().hex,
        occurred_at=now_utc(),
        gallery=GALLERY,
        settings=AnalysisSettings(),
        across_video_distance=distance,
    )
    await committer.stage(command)
    while await committer.commit(GALLERY):
        pass
    version, videos, start = await gallery_version(store), [], time.perf_counter()

    settled = asyncio.Event()

    async def video_by_video() -> None:
        for i in range(_MEANWHILE):
            await backlog(store, population, known, 1, first + i)
            began = time.perf_counter()
            while await committer.commit(GALLERY):
                pass
            videos.append(1000 * (time.perf_counter() - began))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(settled.wait(), 0.5)
                return

    coming = asyncio.create_task(video_by_video())
    while await committer.recluster(GALLERY):
        pass
    spent = time.perf_counter() - start
    settled.set()
    await coming
    while await committer.recluster(GALLERY):
        pass
    persons = await store.persons.find_parts(PersonEncoding)
    held: dict[str | None, list[str]] = defaultdict(list)
    for one in persons:
        held[one.profile_id].append(one.id)
    assert sorted(tuple(sorted(keys)) for keys in held.values()) == partition(
        map(gallery_person, persons), distance, None, 1
    )
    portions = await gallery_version(store) - version - len(videos)
    return {"seconds": spent, "portions": portions, "video_ms": float(np.median(videos)), "video_max_ms": max(videos)}


class Stopwatch:
    """Seconds by step, around the aggregator's own functions."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.longest: defaultdict[str, float] = defaultdict(float)

    def _took(self, step: str, seconds: float) -> None:
        self.seconds[step] += seconds
        self.longest[step] = max(self.longest[step], seconds)

    def wait(self, owner: Any, name: str, step: str) -> None:
        """Count the time until the awaitable `owner.name(…)` is through."""
        function: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def timed(*args: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return await function(*args, **named)
            finally:
                self._took(step, time.perf_counter() - start)

        setattr(owner, name, timed)

    def call(self, owner: Any, name: str, step: str) -> None:
        """The same for a plain function."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **named)
            finally:
                self._took(step, time.perf_counter() - start)

        setattr(owner, name, timed)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=10_000)
    parser.add_argument("--videos", type=int, default=1_000)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--retune", type=float, default=0.42)
    args = parser.parse_args()
    if args.retune == auto_distance(args.profiles + 2 * args.videos):
        parser.error(f"--retune {args.retune} is the distance that a gallery of this size has already")
    with servers("commits"):
        # As in production, where a thread of its own for a product of matrices costs more than it brings.
        os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        process = multiprocessing.get_context("spawn").Process(target=_measure, args=(args,))
        process.start()
        process.join()
    raise SystemExit(process.exitcode)


def _measure(args: argparse.Namespace) -> None:
    logging.getLogger("profile_aggregator").setLevel(logging.WARNING)
    asyncio.run(run(args))


async def run(args: argparse.Namespace) -> None:
    """Fill, commit, set another distance; print."""
    before = at_rest()
    print(before)
    documents = mongo.connect(os.environ["MONGO_URL"], f"bench-commits-{uuid.uuid4().hex[:8]}")
    publisher = KafkaPublisher(os.environ["KAFKA_BOOTSTRAP"])
    store = Store(documents)
    said = GalleryLog(store, publisher, now_utc)
    galleries = GalleryCache(store)
    committer = Committer(store, said, galleries, now_utc, args.batch)
    try:
        await collections.create(documents)
        population = Population(args.profiles + args.videos + _MEANWHILE)
        await fill(store, crowd(population, args.profiles))
        await backlog(store, population, args.profiles, args.videos)
        start = time.perf_counter()
        await galleries.current(GALLERY)
        print(f"gallery of {args.profiles} profiles loaded in {time.perf_counter() - start:.2f} s")

        stopwatch = Stopwatch()
        stopwatch.wait(committer._planner, "for_batch", "match and work out what to write")
        stopwatch.call(Gallery, "propose", "… clustering of it")
        stopwatch.wait(documents, "transaction", "transaction")
        stopwatch.call(CommitPlan, "succeeded", "follow in memory")
        stopwatch.wait(publisher, "publish_entries", "publish")
        stopwatch.wait(committer, "_commit_some", "… all of a commit")
        pressure = Pressure()
        start, cpu = time.perf_counter(), time.process_time()
        while await committer.commit(GALLERY):
            pass
        spent, cpu = time.perf_counter() - start, time.process_time() - cpu
        waited = str(pressure)
        assert await store.tasks.count(eq(TaskRecord.status, "done")) == args.videos
        profiles = await store.profiles.count()
        steps, longest = dict(stopwatch.seconds), dict(stopwatch.longest)
        start = time.perf_counter()
        await GalleryMaintenance(store, galleries, committer, now_utc).round()
        suggesting = time.perf_counter() - start
        found = await store.suggestions.count()
        tuned = await set_distance(store, committer, population, args.retune, args.profiles, args.videos)
    finally:
        await publisher.close()
        await documents.database.client.drop_database(documents.database.name)
        documents.close()
    commits = -(-args.videos // args.batch)
    print(f"{args.videos} videos of two in {commits} commits of {args.batch}: {spent:.2f} s; {profiles} profiles then")
    for step, seconds in steps.items():
        print(f"  {step:34}{1000 * seconds / commits:8.1f} ms a commit, at most {1000 * longest[step]:.1f}")
    rest = spent - sum(seconds for step, seconds in steps.items() if step[0] != "…")
    print(f"  {'rest':34}{1000 * rest / commits:8.1f} ms a commit")
    print(f"  of these {1000 * cpu / commits:.1f} ms of this process's CPU; {waited}")
    print(f"then {found} suggestions looked for in {suggesting:.1f} s")
    print(
        f"then {args.retune} instead: canonical after {tuned['seconds']:.1f} s and {tuned['portions']:.0f} commits; "
        f"a video meanwhile took {tuned['video_ms']:.0f} ms, at most {tuned['video_max_ms']:.0f}"
    )
    result = {"videos_per_second": round(args.videos / spent, 1), "ms_per_commit": round(1000 * spent / commits, 1)}
    print(json.dumps({"before": before, "profiles": args.profiles, "batch": args.batch, **result, "retune": tuned}))


if __name__ == "__main__":
    main()
