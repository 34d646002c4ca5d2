"""What a commit costs into a gallery where one person is in very many videos; `bench/gallery.py --presenter K`.

Synthetic people (encodings_of_people.py), in a database of its own: one of them in K videos, 10,000 others in one each.
Then 300 videos of the presenter and 300 of others are pending, in turn, and the aggregator's own committer commits them
one by one, publishing on the real Kafka. Filling and committing are a process each, so that the peak of memory is that
of committing.
"""

import asyncio
import json
import logging
import multiprocessing
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from encodings_of_people import COLLECTIONS, Population
from filled_gallery import GALLERY, Known, fill, person, profile_id, wait_for_commit
from machine import Pressure, at_rest
from own_stack import servers

from castlist.adapters import mongo
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.clock import now_utc
from castlist.contract.ids import person_key
from castlist.service.heap import share_one_heap
from castlist.store import collections
from castlist.store.query import eq
from castlist.store.records.pending import PendingRecord
from castlist.store.records.persons import PersonProfile, PersonRecord
from castlist.store.records.tasks import TaskRecord
from castlist.store.store import Store
from castlist_identity.domain import GalleryPerson
from castlist_identity.matching.crowd_sample import SAMPLE
from castlist_identity.matching.sampled_round import split_by_sample
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog

OTHERS, COMMITS = 10_000, 300
PRESENTER = OTHERS
_PRESENTERS = "-presenter"
SETTLING = 600.0
"""Seconds after which it counts as not settled."""


def measure(k: int, people: str, seed: int) -> None:
    """Fill, commit, print; the last line is JSON."""
    print(at_rest(), flush=True)
    with servers("presenter"):
        database = f"bench-presenter-{uuid.uuid4().hex[:8]}"
        # As in production, where a thread of its own for a product of matrices costs more than it brings.
        os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        for work, *rest in ((_fill, people, seed), (_commit,)):
            process = multiprocessing.get_context("spawn").Process(target=work, args=(database, k, *rest))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{database}: what should have been done to it failed")


def _fill(database: str, k: int, people: str, seed: int) -> None:
    start = time.perf_counter()
    asyncio.run(_fill_database(database, k, Population(OTHERS + 1, seed, of=COLLECTIONS[people])))
    print(
        f"{k} videos of the presenter among {OTHERS} others, filled in {time.perf_counter() - start:.0f} s", flush=True
    )


def _commit(database: str, k: int) -> None:
    logging.getLogger("profile_aggregator").setLevel(logging.WARNING)
    share_one_heap()  # as the aggregator does
    print(json.dumps(asyncio.run(_commit_to(database, k))))


async def _fill_database(database: str, k: int, population: Population) -> None:
    documents = mongo.connect(os.environ["MONGO_URL"], database)
    store, chance = Store(documents), np.random.default_rng(k)
    try:
        await collections.create(documents)
        await fill(store, _known(population, k))
        for i in range(COMMITS):
            other = int(chance.integers(OTHERS))
            for who in (PRESENTER, other):
                video = _video(who, f"new {i} {who}")
                await wait_for_commit(store, [person(population, who, video, 0)], video)
    finally:
        documents.close()


def _video(who: int, name: str) -> str:
    """An id by chance, as those of uploads are: what sorts before everything else costs more."""
    return f"{uuid.uuid5(uuid.NAMESPACE_OID, name)}{_PRESENTERS if who == PRESENTER else ''}"


def _known(population: Population, k: int) -> Iterator[Known]:
    people = [*range(OTHERS), *(PRESENTER for _ in range(k))]
    videos = [(_video(who, f"old {i}"), who) for i, who in enumerate(people)]
    found = [(person(population, who, video, 0), video, who) for video, who in videos]
    members = [GalleryPerson(person_key(video, 1, 0), video, one.mean, one.variance) for one, video, _ in found]
    followers = {member.key for member in split_by_sample(members, (), SAMPLE)[1]}
    for one, video, who in found:
        yield Known(profile_id(who), video, one, person_key(video, 1, 0) in followers)


async def _commit_to(database: str, k: int) -> dict[str, object]:
    documents = mongo.connect(os.environ["MONGO_URL"], database)
    publisher = KafkaPublisher(os.environ["KAFKA_BOOTSTRAP"])
    store = Store(documents)
    galleries = GalleryCache(store)
    committer = Committer(store, GalleryLog(store, publisher, now_utc), galleries, now_utc, 1)
    try:
        start = time.perf_counter()
        await galleries.current(GALLERY)
        print(f"loaded in {time.perf_counter() - start:.1f} s, {peak_mb():.0f} MB then")
        pressure, spent, worked = Pressure(), list[float](), list[float]()
        for _ in range(2 * COMMITS):
            start, cpu = time.perf_counter(), time.process_time()
            await committer.commit(GALLERY)
            spent.append(1000 * (time.perf_counter() - start))
            worked.append(1000 * (time.process_time() - cpu))
        waited = str(pressure)
        assert await store.tasks.count(eq(TaskRecord.status, "done")) == 2 * COMMITS
        start = time.perf_counter()
        while await committer.recluster(GALLERY) and time.perf_counter() - start < SETTLING:
            pass
        settling = time.perf_counter() - start
        settled = not await store.pending.count(eq(PendingRecord.gallery, GALLERY))
        persons = await store.persons.find_parts(PersonProfile, eq(PersonRecord.gallery, GALLERY))
        presenters = {one.profile_id for one in persons if _PRESENTERS in one.id}
    finally:
        await publisher.close()
        await documents.database.client.drop_database(database)
        documents.close()
    for i, who in enumerate(("presenter", "others")):
        costs, cpus = spent[i::2], worked[i::2]
        print(
            f"  a commit of the {who}: {np.median(costs):.1f} ms, p99 {np.percentile(costs, 99):.1f}, "
            f"at most {max(costs):.1f}; of this process's CPU {np.median(cpus):.1f}, p99 {np.percentile(cpus, 99):.1f}"
        )
    print(f"  settled after {settling:.1f} s; {waited}")
    return {
        "k": k,
        "commit_ms_median": round(float(np.median(spent[::2])), 1),
        "commit_ms_p99": round(float(np.percentile(spent[::2], 99)), 1),
        "peak_mb": round(peak_mb()),
        "settled": settled,
        "profiles_of_presenter": len(presenters),
    }


def peak_mb() -> float:
    """The most that this process has had in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000
