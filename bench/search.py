"""How fast query-api finds who is in a picture, in a gallery of 100,000 people, and what it holds in memory for it.

    python bench/search.py [--persons N] [--searches N]

Works in a database of its own, dropped afterwards, with a query-api of its own, on the servers that the environment
names, or else on those of a stack of its own. Everybody is in a video of their own; the picture is 640 × 480 of the
sample, with one face. The first search is timed apart: it waits for the child, and for the gallery to be read. Then
searches one after the other over one connection; searches each behind a commit that brought somebody; and reads of one
profile, alone and while another connection searches without a pause. The last line is one JSON object. Exits 1 where
the median of the searches is over 250 ms, or the index over 250 MB.
"""

import argparse
import asyncio
import io
import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx2
import psutil
from encodings_of_people import COLLECTIONS, Population
from filled_gallery import GALLERY, Known, fill, person, profile_id
from machine import at_rest, watched
from own_stack import servers
from PIL import Image
from query import query_api

from castlist.adapters import mongo
from castlist.clock import now_utc
from castlist.contract.codec import encode
from castlist.contract.events import PersonAppeared, ProfileCreated
from castlist.contract.ids import person_key
from castlist.contract.values import Segment
from castlist.store import collections
from castlist.store.query import add, set_to, with_id
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.outbox import GalleryLogRecord
from castlist.store.store import Store
from profile_aggregator.videos.conversions import person_record
from testkit.clips import frames

SLOWEST, LARGEST = 0.250, 250e6
BEHIND_COMMITS, READS = 20, 200


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=100)
    asked = parser.parse_args()
    print(at_rest())
    with servers("search"):
        status = asyncio.run(run(asked))
    sys.exit(status)


async def run(asked: argparse.Namespace) -> int:
    """Fill, measure, print; the exit status."""
    name = f"castlist-bench-{uuid.uuid4().hex[:8]}"
    documents = mongo.connect(os.environ["MONGO_URL"], name)
    population = Population(asked.persons + BEHIND_COMMITS, of=COLLECTIONS["strangers"])
    try:
        await collections.create(documents)
        store = Store(documents)
        await fill(store, (known(population, who) for who in range(asked.persons)))
        with query_api(name) as running:
            process = psutil.Process(running.pid)
            figures = await measure(store, population, process, f"http://127.0.0.1:{running.port}", asked)
    finally:
        await documents.database.client.drop_database(name)
        documents.close()
    kept = figures["median_ms"] <= 1000 * SLOWEST and figures["index_mb"] * 1e6 <= LARGEST
    print(json.dumps(figures | {"kept": kept}))
    return 0 if kept else 1


def known(population: Population, who: int) -> Known:
    """Somebody in a video of their own."""
    video = f"video-{who:08}"
    return Known(profile_id(who), video, person(population, who, video, 0))


async def measure(
    store: Store, population: Population, service: psutil.Process, url: str, asked: argparse.Namespace
) -> dict[str, float]:
    """What is asked and how long it takes; memory in MB."""
    picture = io.BytesIO()
    Image.fromarray(frames("monday")[10]).save(picture, "JPEG", quality=92)
    before = service.memory_info().rss
    with httpx2.Client(base_url=url, timeout=120) as client:

        def search() -> float:
            began = time.perf_counter()
            fields = {"gallery": GALLERY, "max_distance": "10"}
            answer = client.post("/search", data=fields, files={"file": picture.getvalue()})
            took = time.perf_counter() - began
            (face,) = answer.raise_for_status().json()["faces"]
            assert len(face["matches"]) == 5
            return took

        first = await asyncio.to_thread(search)
        (child,) = service.children()
        spent = cpu(service), cpu(child)
        times = [await asyncio.to_thread(search) for _ in range(asked.searches)]
        own, childs = ((cpu(one) - was) / len(times) for one, was in zip((service, child), spent, strict=True))
        index = service.memory_info().rss - before
        behind = []
        for step in range(BEHIND_COMMITS):
            await commit(store, population, asked.persons + step)
            behind.append(await asyncio.to_thread(search))
        alone = await asyncio.to_thread(reads, url)
        with searching(url, picture.getvalue()):
            beside = await asyncio.to_thread(reads, url)
    figures = {
        "persons": asked.persons,
        "first_s": round(first, 2),
        "median_ms": milliseconds(times, 50),
        "p99_ms": milliseconds(times, 99),
        "cpu_ms": round(1000 * own, 1),
        "child_cpu_ms": round(1000 * childs, 1),
        "behind_a_commit_ms": milliseconds(behind, 50),
        "read_alone_ms": milliseconds(alone, 50),
        "read_alone_p99_ms": milliseconds(alone, 99),
        "read_beside_ms": milliseconds(beside, 50),
        "read_beside_p99_ms": milliseconds(beside, 99),
        "index_mb": round(index / 1e6, 1),
        "child_mb": round(child.memory_info().rss / 1e6, 1),
    }
    for what, figure in figures.items():
        print(f"{what:20} {figure}")
    return figures


def cpu(process: psutil.Process) -> float:
    """Seconds so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def reads(url: str) -> list[float]:
    """The seconds of reads of one profile, one after the other."""
    times = []
    with httpx2.Client(base_url=url, timeout=120) as client:
        for n in range(READS):
            began = time.perf_counter()
            client.get(f"/profiles/{profile_id(n)}").raise_for_status()
            times.append(time.perf_counter() - began)
    return times


@contextmanager
def searching(url: str, picture: bytes) -> Iterator[None]:
    """Somebody searches all the while."""
    with httpx2.Client(base_url=url, timeout=120) as client:

        def search() -> None:
            client.post("/search", data={"gallery": GALLERY}, files={"file": picture}).raise_for_status()

        with watched(search, pause=0.0):
            yield


async def commit(store: Store, population: Population, who: int) -> None:
    """Somebody new, as a commit leaves it."""
    new, now = known(population, who), now_utc()
    gallery = await store.galleries.get(GALLERY)
    assert gallery is not None
    version, key = gallery.version + 1, person_key(new.video, 1, 0)
    said = {
        "occurred_at": now, "gallery": GALLERY, "gallery_version": version, "count": 2,
        "previous_version": gallery.told, "profile_id": new.profile,
    }  # fmt: skip
    appeared = PersonAppeared(
        event_id=f"{version}-1", index=1, video_id=new.video, epoch=1, persons=(key,), segments=(Segment(0.0, 2.0),),
        seconds=2.0, faces=10, crop=new.found.crop, **said,
    )  # fmt: skip
    events = (ProfileCreated(event_id=f"{version}-0", index=0, **said), appeared)
    stored = person_record(new.found, GALLERY, new.video, 1)

    async def body(transaction: Store) -> None:
        await transaction.persons.insert(stored)
        await transaction.persons.update(with_id(stored.id), set_to(type(stored).profile_id, new.profile))
        texts = tuple(encode(event).decode() for event in events)
        await transaction.gallery_log.insert(
            GalleryLogRecord(
                id=f"{GALLERY}:{version}:0", gallery=GALLERY, version=version, part=0, events=texts, at=now
            )
        )
        moved = add(GalleryRecord.version, 1) & set_to(GalleryRecord.told, version)
        await transaction.galleries.update(with_id(GALLERY), moved)

    await store.transaction(body)


def milliseconds(times: Sequence[float], percent: int) -> float:
    """A percentile, in milliseconds."""
    return round(1000 * statistics.quantiles(times, n=100, method="inclusive")[percent - 1], 2)


if __name__ == "__main__":
    main()
