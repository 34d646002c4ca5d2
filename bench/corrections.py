"""What a correction costs in a large gallery: from the command to its commit, on a real MongoDB.

    python bench/corrections.py --people 100000

Synthetic people (encodings_of_people.py) in as many videos, every tenth in two of them, in a database of its own. Then
rounds of corrections by the aggregator's own committer, each carried out before the next: a name, a merge, a rejected
appearance, a presence, and taking each of them back. The last line is JSON: milliseconds, median and p99 of each kind.
"""

import argparse
import asyncio
import json
import logging
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from encodings_of_people import COLLECTIONS, Population
from filled_gallery import GALLERY, Known, fill, person, profile_id, wait_for_commit
from machine import Pressure, at_rest
from own_stack import servers
from presenter import peak_mb

from castlist.adapters import mongo
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.clock import now_utc
from castlist.contract.commands import AddPresence, Card, ChangeCard, MergeProfiles, RejectAppearance, UndoChange
from castlist.store import collections
from castlist.store.query import eq
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.store import Store
from castlist.tasks.commands import Command
from profile_aggregator.commits.committer import Committer
from profile_aggregator.commits.gallery_cache import GalleryCache
from profile_aggregator.commits.gallery_log import GalleryLog

ROUNDS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--collection", choices=sorted(COLLECTIONS), default="strangers")
    asked = parser.parse_args()
    print(at_rest(), flush=True)
    logging.getLogger("profile_aggregator").setLevel(logging.WARNING)
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with servers("corrections"):
        print(json.dumps(asyncio.run(_measure(asked.people, asked.collection))))


def _known(population: Population, people: int) -> Iterator[Known]:
    for who in range(people):
        for n in range(2 if who % 10 == 0 else 1):
            video = _video(who, n)
            yield Known(profile_id(who), video, person(population, who, video, 0))


def _video(who: int, n: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{who} {n}"))


async def _measure(people: int, collection: str) -> dict[str, Any]:
    database = f"bench-corrections-{uuid.uuid4().hex[:8]}"
    documents = mongo.connect(os.environ["MONGO_URL"], database)
    publisher = KafkaPublisher(os.environ["KAFKA_BOOTSTRAP"])
    store = Store(documents)
    galleries = GalleryCache(store)
    committer = Committer(store, GalleryLog(store, publisher, now_utc), galleries, now_utc, 1)
    spent: dict[str, list[float]] = defaultdict(list)

    async def order(what: str, kind: type[Command], **said: Any) -> str:
        id = uuid.uuid4().hex
        command = kind(event_id=id, occurred_at=now_utc(), gallery=GALLERY, **said)
        start = time.perf_counter()
        await committer.stage(command)
        await committer.commit(GALLERY)
        spent[what].append(1000 * (time.perf_counter() - start))
        change = await store.changes.get(id)
        assert change is not None
        assert change.status == "applied", change
        return id

    try:
        await collections.create(documents)
        population = Population(people + 1, 1, of=COLLECTIONS[collection])
        await fill(store, _known(population, people))
        await wait_for_commit(store, [person(population, people, "first", 0)], "first")
        await committer.commit(GALLERY)
        pressure = Pressure()
        for i in range(ROUNDS):
            one, other = 10 * i, 10 * i + 1
            about = {"profile_id": profile_id(one)}
            changes = [await order("name", ChangeCard, card=Card(name=f"Name {i}"), changed=("name",), **about)]
            # What was filled in may be clustered otherwise once it is touched.
            third = profile_id(10 * (i + ROUNDS))
            there = await store.appearances.find(eq(AppearanceRecord.profile_id, third))
            if len(there) > 1:
                said = {"video_id": there[-1].video_id, "reason": "not_this_person", "profile_id": third}
                changes.append(await order("reject", RejectAppearance, **said))
            changes += [
                await order("merge", MergeProfiles, profiles=(profile_id(other),), **about),
                await order("presence", AddPresence, video_id="first", start=0.0, end=1.0, **about),
            ]
            if i % 2:
                for change in reversed(changes):
                    await order("undo", UndoChange, change_id=change)
        waited = str(pressure)
    finally:
        await publisher.close()
        await documents.database.client.drop_database(database)
        documents.close()
    print(f"{people} people; {waited}; {peak_mb():.0f} MB at most")
    every = [one for costs in spent.values() for one in costs]
    found = dict(spent) | {"all": every}
    return {
        what: {"median_ms": round(float(np.median(costs)), 1), "p99_ms": round(float(np.percentile(costs, 99)), 1)}
        for what, costs in found.items()
    }


if __name__ == "__main__":
    main()
