"""How fast a large upload goes through ingest, beside writing the same bytes straight to the same S3.

    python bench/ingest.py [--mb 2048] [--rounds 2]

An ingest of its own works in a database and a bucket of its own, removed afterwards, on the servers that the
environment names, or else on those of a stack of its own. Straight means aiobotocore, multipart, with ingest's own part
size and parts in flight, from a process of its own too. The last line is one JSON object. Exits 1 where ingest has less
than 60 % of that throughput, or its resident memory grows by 100 MB or more.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx2
import psutil
from own_stack import servers

from castlist.adapters import mongo, s3
from castlist.ports.objects import Objects
from castlist.service.settings import Settings
from castlist.store import collections

MB = 1024 * 1024
LEAST_RATIO, MOST_GROWTH = 0.6, 100.0
_BLOCK = random.Random(1).randbytes(MB)
_HEAD = b"\x00\x00\x00\x20ftypisom" + _BLOCK[12:]
_BOUNDARY = "----castlist-bench"


@dataclass
class Memory:
    """The resident memory of a process, watched from outside."""

    process: psutil.Process
    before: float = 0.0
    most: float = 0.0

    async def watch(self) -> None:
        """Look often, until cancelled."""
        self.before = self.most = self.process.memory_info().rss / MB
        while True:
            await asyncio.sleep(0.05)
            self.most = max(self.most, self.process.memory_info().rss / MB)


def blocks(megabytes: int, turn: int) -> Iterator[bytes]:
    """The file, different for each turn: what ingest has already would cost it less."""
    yield _HEAD
    for number in range(1, megabytes):
        yield b"%08d%08d" % (turn, number) + _BLOCK[16:]


def form(megabytes: int, turn: int) -> Iterator[bytes]:
    """The file within its form."""
    yield (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="gallery"\r\n\r\nbench\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="bench.mp4"\r\n\r\n'
    ).encode()
    yield from blocks(megabytes, turn)
    yield f"\r\n--{_BOUNDARY}--\r\n".encode()


def through_ingest(url: str, megabytes: int, turn: int) -> float:
    """Seconds of one upload."""
    kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    began = time.perf_counter()
    answer = httpx2.post(f"{url}/videos", content=form(megabytes, turn), headers=kind, timeout=600)
    took = time.perf_counter() - began
    if answer.status_code != 202 or answer.json()["bytes"] != megabytes * MB:
        raise SystemExit(f"not accepted: {answer.status_code} {answer.text}")
    return took


async def straight(objects: Objects, megabytes: int, turn: int) -> float:
    """Seconds of one object."""
    began = time.perf_counter()
    async with objects.upload(f"straight-{turn}", "video/mp4") as upload:
        for block in blocks(megabytes, turn):
            await upload.write(block)
        await upload.complete()
    return time.perf_counter() - began


@contextlib.asynccontextmanager
async def own_servers() -> AsyncIterator[tuple[Settings, Objects]]:
    """A database and a bucket of one's own, removed afterwards."""
    name = f"castlist-bench-{uuid.uuid4().hex[:8]}"
    settings = Settings(mongo_database=name, s3_bucket=name)
    documents = mongo.connect(settings.mongo_url, name)
    async with s3.connect(*settings.s3) as objects:
        try:
            await collections.create(documents)
            await objects.create_bucket()
            yield settings, objects
        finally:
            await objects.delete_prefix("")
            await objects._client.delete_bucket(Bucket=name)
            await documents.database.client.drop_database(name)
            documents.close()


@contextlib.asynccontextmanager
async def own_ingest(settings: Settings) -> AsyncIterator[tuple[str, psutil.Process]]:
    """An ingest as a process; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {"MONGO_DATABASE": settings.mongo_database, "S3_BUCKET": settings.s3_bucket, "INGEST_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ingest", env={**os.environ, **own, "LOG_LEVEL": "ERROR"}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        async with httpx2.AsyncClient(timeout=5) as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await client.get(f"{url}/health/ready")).status_code == 200:
                        break
                if process.returncode is not None or time.monotonic() > until:
                    raise SystemExit("ingest does not come up")
                await asyncio.sleep(0.1)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


async def run(megabytes: int, rounds: int) -> int:
    """Measure, print; the exit status."""
    ours: list[float] = []
    theirs: list[float] = []
    growth = 0.0
    async with own_servers() as (settings, objects), own_ingest(settings) as (url, process):
        await straight(objects, 64, -1)
        await asyncio.to_thread(through_ingest, url, 64, -1)
        for turn in range(rounds):
            theirs.append(await straight(objects, megabytes, turn))
            await objects.delete_prefix("straight")
            memory = Memory(process)
            watching = asyncio.create_task(memory.watch())
            ours.append(await asyncio.to_thread(through_ingest, url, megabytes, turn))
            watching.cancel()
            growth = max(growth, memory.most - memory.before)
            await objects.delete_prefix("videos/")
            print(f"straight {megabytes / theirs[-1]:.0f} MB/s, through ingest {megabytes / ours[-1]:.0f} MB/s,")
            print(f"its resident memory {memory.before:.0f} MB before, {memory.most:.0f} MB at most")
    ratio = min(theirs) / min(ours)
    kept = ratio >= LEAST_RATIO and growth < MOST_GROWTH
    print(f"ingest has {ratio:.0%} of the throughput and grows by {growth:.0f} MB: {'kept' if kept else 'BROKEN'}")
    figures = {
        "mb": megabytes,
        "straight_mb_s": round(megabytes / min(theirs), 1),
        "ingest_mb_s": round(megabytes / min(ours), 1),
        "ratio": round(ratio, 3),
        "growth_mb": round(growth, 1),
        "kept": kept,
    }
    print(json.dumps(figures))
    return 0 if kept else 1


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2, help="the best of each side counts")
    asked = parser.parse_args()
    with servers("ingest"):
        status = asyncio.run(run(asked.mb, asked.rounds))
    sys.exit(status)


if __name__ == "__main__":
    main()
