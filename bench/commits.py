"""How fast a backlog goes into a large gallery: videos a second, milliseconds a commit, and where the time goes.

    MONGO_URL=… KAFKA_BOOTSTRAP=… python bench/commits.py [--profiles 10000] [--videos 1000] [--batch 50]

A gallery of synthetic people (see encodings.py) is written into a database of its own on the real MongoDB; then videos
with two persons each, one of them known, are pending, and the aggregator's own committer commits them and publishes on
the real Kafka. The clock runs from the first commit to the last event published, with the gallery loaded. Then the
gallery gets another distance (`--retune`), and is re-clustered in the background while a video comes twice a second.
The last line is one JSON object.
"""

import argparse
import asyncio
import json
import logging
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from encodings_of_people import Population
from machine import Pressure, at_rest

from castlist import tasks
from castlist.adapters import mongo
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.adapters.memory import MemoryObjects
from castlist.clock import now_utc
from castlist.contract import commands, events, values
from castlist.contract.ids import appearance_key, attempt_key, person_key, task_id
from castlist.store import collections
from castlist.store.collections import APPEARANCES, GALLERIES, PENDING, PERSONS, PROFILES, SUGGESTIONS, TASKS, VIDEOS
from castlist_identity import domain
from castlist_identity.auto_distance import auto_distance
from castlist_identity.gallery import Gallery
from castlist_identity.partition import partition
from profile_aggregator.commits.background import Background
from profile_aggregator.commits.commit_planner import Plan
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import Galleries
from profile_aggregator.videos.person_records import MEMBER_FIELDS, member_of, person_document

GALLERY = "crowd"
_ROWS = 2_000


def person(population: Population, who: int, video: str, n: int) -> dict[str, Any]:
    """A video person as it is stored."""
    mean, variance = population.video_person(who)
    box = domain.Box(100, 100, 90, 90)
    places = tuple(domain.Place(0.2 * i, box) for i in range(10))
    crop = domain.Crop(f"crops/{video}/1/0-{n}.jpg", 1.0, box, 640, 480, 0.9)
    found = domain.VideoPerson(n, mean, variance, 10, (domain.Segment(0.0, 2.0),), 2.0, 0.0, 2.0, crop, places, ())
    return person_document(found, GALLERY, video, 1)


async def fill(documents: mongo.MongoDocuments, population: Population, profiles: int) -> None:
    """One profile for each person, as commits would have left it: everybody has been in one video."""
    now = now_utc()
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for who in range(profiles):
        video, profile = f"old-{who}", str(uuid.uuid5(uuid.NAMESPACE_OID, str(who)))
        one = {**person(population, who, video, 0), "profile_id": profile}
        rows[PERSONS].append(one)
        facts = {"gallery": GALLERY, "created_at": now}
        rows[PROFILES].append(
            {"_id": profile, "name": None, "founder": one["_id"], "version": who, "video_count": 1, **facts}
        )
        shown = {"profile_id": profile, "video_id": video, "epoch": 1, "persons": [one["_id"]], "crop": one["crop"]}
        rows[APPEARANCES].append({"_id": appearance_key(profile, video), **shown, **facts})
    for collection, found in rows.items():
        for start in range(0, len(found), _ROWS):
            await documents.insert_many(collection, found[start : start + _ROWS])
    stored = {"_id": GALLERY, "version": profiles, "created_at": now, "distance": auto_distance(profiles)}
    await documents.insert(GALLERIES, stored)


async def backlog(
    documents: mongo.MongoDocuments, population: Population, profiles: int, videos: int, first: int = 0
) -> None:
    """Videos with somebody known and somebody new, found and not committed yet."""
    chance = np.random.default_rng(first)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for i in range(first, first + videos):
        video = f"new-{i:05}"
        uploaded = events.VideoUploaded(
            event_id=video,
            occurred_at=now_utc(),
            video_id=video,
            gallery=GALLERY,
            object=values.StoredObject(bucket="castlist", key=video),
        )
        persons = [
            person(population, who, video, n) for n, who in enumerate((int(chance.integers(profiles)), profiles + i))
        ]
        now = now_utc()
        rows[VIDEOS].append(tasks._video(uploaded, now))
        rows[TASKS].append(tasks._task(uploaded, video, now))
        pending = {"_id": attempt_key(video, 1), "kind": "people", "gallery": GALLERY, "video_id": video, "epoch": 1}
        rows[PENDING].append({**pending, "persons": persons, "created_at": now})
    for collection, found in rows.items():
        await documents.insert_many(collection, found)
    assert rows[TASKS][0]["_id"] == task_id(f"new-{first:05}", 1)
    assert rows[PENDING][0]["persons"][0]["_id"] == person_key(f"new-{first:05}", 1, 0)


async def retune(
    documents: mongo.MongoDocuments,
    committer: Committer,
    population: Population,
    distance: float,
    known: int,
    first: int,
) -> dict[str, float]:
    """Seconds to reach another distance, in how many commits, and ms of the videos' commits meanwhile."""
    command = commands.ChangeSettings(
        event_id=uuid.uuid4().hex,
        occurred_at=now_utc(),
        gallery=GALLERY,
        settings=values.MatchSettings(),
        across_video_distance=distance,
    )
    await committer.stage(command)
    await committer.commit(GALLERY)
    stored = await documents.get(GALLERIES, GALLERY) or {}
    start, version, videos = time.perf_counter(), stored["version"], []

    async def video_by_video() -> None:
        for i in range(200):
            await backlog(documents, population, known, 1, first + i)
            began = time.perf_counter()
            await committer.commit(GALLERY)
            videos.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.5)

    coming = asyncio.create_task(video_by_video())
    while await committer.recluster(GALLERY):
        pass
    spent = time.perf_counter() - start
    coming.cancel()
    await asyncio.gather(coming, return_exceptions=True)
    await committer.commit(GALLERY)
    while await committer.recluster(GALLERY):
        pass
    persons = await documents.find(PERSONS, {}, fields=MEMBER_FIELDS)
    held: dict[str, list[str]] = defaultdict(list)
    for one in persons:
        held[one["profile_id"]].append(one["_id"])
    assert sorted(tuple(sorted(keys)) for keys in held.values()) == partition(map(member_of, persons), distance)
    stored = await documents.get(GALLERIES, GALLERY) or {}
    portions = stored["version"] - version - len(videos)
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


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=10_000)
    parser.add_argument("--videos", type=int, default=1_000)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--retune", type=float, default=0.42)
    args = parser.parse_args()
    before = at_rest()
    print(before)
    logging.getLogger("profile_aggregator").setLevel(logging.WARNING)
    documents = mongo.connect(os.environ["MONGO_URL"], f"bench-commits-{uuid.uuid4().hex[:8]}")
    publisher = KafkaPublisher(os.environ["KAFKA_BOOTSTRAP"])
    galleries = Galleries(documents)
    committer = Committer(documents, MemoryObjects("castlist"), publisher, galleries, now_utc, args.batch)
    try:
        await collections.create(documents)
        population = Population(args.profiles + args.videos + 200)
        await fill(documents, population, args.profiles)
        await backlog(documents, population, args.profiles, args.videos)
        start = time.perf_counter()
        await galleries.current(GALLERY)
        print(f"gallery of {args.profiles} profiles loaded in {time.perf_counter() - start:.2f} s")

        stopwatch = Stopwatch()
        stopwatch.wait(committer._matcher, "for_batch", "match and work out what to write")
        stopwatch.call(Gallery, "propose", "… clustering of it")
        stopwatch.wait(documents, "transaction", "transaction")
        stopwatch.call(Plan, "succeeded", "follow in memory")
        stopwatch.wait(publisher, "publish_entries", "publish")
        stopwatch.wait(committer, "_commit_some", "… all of a commit")
        pressure = Pressure()
        start, cpu = time.perf_counter(), time.process_time()
        await committer.commit(GALLERY)
        spent, cpu = time.perf_counter() - start, time.process_time() - cpu
        waited = str(pressure)
        assert await documents.count(TASKS, {"status": "done"}) == args.videos
        profiles = await documents.count(PROFILES, {})
        steps = dict(stopwatch.seconds)
        start = time.perf_counter()
        await Background(documents, galleries, committer, now_utc).round()
        suggesting = time.perf_counter() - start
        found = await documents.count(SUGGESTIONS, {})
        tuned = await retune(documents, committer, population, args.retune, args.profiles, args.videos)
    finally:
        await publisher.close()
        await documents.database.client.drop_database(documents.database.name)
        documents.close()
    commits = -(-args.videos // args.batch)
    print(f"{args.videos} videos of two in {commits} commits of {args.batch}: {spent:.2f} s; {profiles} profiles then")
    for step, seconds in steps.items():
        longest = 1000 * stopwatch.longest[step]
        print(f"  {step:34}{1000 * seconds / commits:8.1f} ms a commit, at most {longest:.1f}")
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
    asyncio.run(main())
