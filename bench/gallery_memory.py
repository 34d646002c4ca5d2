"""What a gallery takes in memory, and how long it takes to be loaded.

    python bench/gallery_memory.py [--sizes 10000,30000,100000] [--people strangers] [--seed 1]

Sizes count video persons, who are read a page at a time as from MongoDB, with ids as uploads have them. `seen` says how
often: everybody in one video, or half of the people in one, a quarter in two, and so on, and a quarter of the persons
seen together with another. Megabytes are what a fresh process has more of once everything else is given back; seconds
are of its CPU. The last line is one JSON object.
"""

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import psutil
from encodings_of_people import COLLECTIONS, Population, appearances

from castlist.contract.ids import person_key
from castlist.service.heap import share_one_heap
from castlist_identity.domain import GalleryPerson
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.matching.auto_distance import auto_distance
from profile_aggregator.commits.gallery_cache import PAGE, complete


def stored(population: Population, who: Sequence[int], seen: str) -> Iterator[tuple[GalleryPerson, str]]:
    """Each video person with its profile; no two values share a string, as none do that are read."""
    chance = random.Random(len(who))
    profiles: dict[int, uuid.UUID] = {}
    video = ""
    for i, one in enumerate(who):
        together = seen == "often" and i % 4 == 1 and who[i - 1] != one
        if not together:
            video = str(uuid.UUID(int=chance.getrandbits(128)))
        beside = frozenset({person_key(video, 1, 0)}) if together else frozenset[str]()
        profile = profiles.setdefault(one, uuid.UUID(int=chance.getrandbits(128)))
        mean, variance = population.video_person(one)
        yield GalleryPerson(person_key(video, 1, int(together)), f"{video}", mean, variance, beside), str(profile)


def resident() -> int:
    """Bytes that this process holds, with what is free given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


def measure(size: int, seen: str, people: str, seed: int) -> dict[str, Any]:
    """Load one, in this process."""
    who = list(range(size)) if seen == "once" else appearances(size)
    population = Population(max(who) + 1, seed, of=COLLECTIONS[people])
    waiting, before, cpu = stored(population, who, seen), resident(), 0.0
    share_one_heap()  # as the aggregator does
    gallery, founders = Gallery(auto_distance(size)), dict[str, str]()
    while page := list(islice(waiting, PAGE)):
        for one, profile in page:
            founders.setdefault(profile, one.key)
        start = time.process_time()
        gallery.take_over(page, {})
        cpu += time.process_time() - start
    start = time.process_time()
    began = time.perf_counter()
    complete(gallery, (Profile(profile, key, number) for number, (profile, key) in enumerate(founders.items())))
    cpu, wall = cpu + time.process_time() - start, time.perf_counter() - began
    count = len(founders)
    del founders, page, profile, one
    held = resident() - before
    del population  # which was there before, and until now
    return {
        "persons": size,
        "seen": seen,
        "profiles": count,
        "mb": round(held / 1e6, 1),
        "bytes_each": round(held / size),
        "load_s": round(cpu, 1),
        "complete_wall_s": round(wall, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,30000,100000")
    parser.add_argument("--people", choices=sorted(COLLECTIONS), default="strangers")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    # As in production, where a thread of its own for a product of matrices costs more than it brings.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    found = []
    for size in map(int, args.sizes.split(",")):
        for seen in ("once", "often"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                one = pool.apply(measure, (size, seen, args.people, args.seed))
            print(
                f"{size} persons seen {seen}, {one['profiles']} profiles: {one['mb']} MB, {one['bytes_each']} bytes "
                f"each, loaded in {one['load_s']} s of CPU; the nearest others took {one['complete_wall_s']} s",
                flush=True,
            )
            found.append(one)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
