"""How fast query-api answers, out of a gallery of 100,000 profiles in 5 videos each.

    python bench/query.py [--profiles N] [--videos N] [--page N] [--requests N] [--clients N] [--seconds N] [--keep]

Works in a database of its own, dropped afterwards, with one query-api of its own, on the servers that the environment
names, or else on those of a stack of its own. Asked for one after the other over one connection: pages of `--page`
profiles with all their appearances; the first page and the 500th in every order, and with every filter in the default
order; one profile, one task, one crop. Then `--clients` connections at once ask for pages as
fast as they are answered. What comes back is checked, outside of the clock. The last line is one JSON object.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args
from urllib.parse import urlencode

import msgspec
from machine import Pressure, at_rest
from own_stack import servers

from castlist.adapters import mongo, s3
from castlist.adapters.mongo import MongoDocuments
from castlist.clock import now_utc
from castlist.contract.box import Box
from castlist.contract.ids import appearance_key, crop_key, derived, person_key, task_id
from castlist.contract.text import folded
from castlist.contract.values import Crop, FrameSize, Segment, StoredObject
from castlist.service.settings import Settings
from castlist.store import collections
from castlist.store.appearance_json import appearance_json
from castlist.store.records.appearances import AppearanceRecord
from castlist.store.records.galleries import GalleryRecord
from castlist.store.records.profiles import ProfileRecord
from castlist.store.records.tasks import TaskRecord
from castlist.store.records.videos import VideoRecord
from castlist.store.store import Store
from query_api.http.parameters import ProfileOrder, ProfileQuery
from query_api.profile_list import order_of

GALLERY = "bench"
BATCH = 5_000
DEEP = 500
"""Which page is held against the first."""
PICTURE = b"\xff\xd8" + random.Random(0).randbytes(12_000)
"""As large as crops are."""
NAMES = ("Ada", "Ádám", "Bo", "Ёлка", "Zoë")
DAY = timedelta(days=1)
START = now_utc().replace(microsecond=0) - 1_000 * DAY
FILTERS: dict[str, dict[str, Any]] = {
    "name": {"name": "ada"},
    "unnamed": {"unnamed": "true"},
    "hidden": {"hidden": "true"},
    "tag": {"tag": "guest"},
    "seen_after": {"seen_after": (START + 500 * DAY).isoformat().replace("+00:00", "Z")},
    "seen_before": {"seen_before": (START + 500 * DAY).isoformat().replace("+00:00", "Z")},
    "min_videos": {"min_videos": 2},
    "several": {"unnamed": "true", "tag": "guest", "min_videos": 3},
}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=100_000)
    parser.add_argument("--videos", type=int, default=5, help="videos a profile is in")
    parser.add_argument("--page", type=int, default=100)
    parser.add_argument("--requests", type=int, default=300, help="of each kind")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the clients ask at once")
    parser.add_argument("--keep", action="store_true", help="leave the database there, and say its name")
    parser.add_argument("--database", help="one that was left there, instead of a new one")
    asked = parser.parse_args()
    with servers("query"):
        asyncio.run(run(asked))


async def run(asked: argparse.Namespace) -> None:
    """Seed, measure, print."""
    name = asked.database or f"castlist-bench-{uuid.uuid4().hex[:8]}"
    before = at_rest()
    print(before)
    documents = mongo.connect(os.environ["MONGO_URL"], name)
    try:
        if not asked.database:
            began = time.perf_counter()
            await collections.create(documents)
            await seed(Store(documents), asked.profiles, asked.videos)
            print(
                f"seeded {asked.profiles} profiles in {asked.videos} videos each: {time.perf_counter() - began:.0f} s"
            )
        async with s3.connect(*Settings().s3) as objects:
            await objects.put(_crop(0).key, PICTURE, "image/jpeg")
        deep = {sort: await _cursor(documents, {"sort": sort}, asked.page) for sort in get_args(ProfileOrder)}
        with query_api(name) as service:
            figures = await asyncio.to_thread(measure, service, asked, deep)
    finally:
        if asked.keep:
            print(f"database {name} is left")
        else:
            await documents.database.client.drop_database(name)
        documents.close()
    sizes = {"profiles": asked.profiles, "videos_each": asked.videos, "page": asked.page}
    print(json.dumps({"before": before, **sizes, **figures}))


# --- what is there ----------------------------------------------------------------------------------------------------


async def seed(store: Store, profiles: int, each: int) -> None:
    """Profiles `each` of which is in that many of as many videos as there are profiles, as the services store them."""
    await store.galleries.insert(GalleryRecord(id=GALLERY, version=1, created_at=START))
    for first in range(0, profiles, BATCH):
        numbers = range(first, min(first + BATCH, profiles))
        await store.videos.insert_many(_video(n) for n in numbers)
        await store.profiles.insert_many(
            _profile(n, [_moment(m) for m in _videos_of(n, each, profiles)]) for n in numbers
        )
        for k in range(each):
            await store.appearances.insert_many(_appearance(n, _videos_of(n, each, profiles)[k], k) for n in numbers)
    await store.tasks.insert(_task())


def _videos_of(n: int, each: int, profiles: int) -> list[int]:
    return [(n * 7 + k * 131) % profiles for k in range(each)]


def _video_id(n: int) -> str:
    return derived("bench", "video", n)


def _moment(n: int) -> datetime:
    return START + timedelta(minutes=14 * n)


def _video(n: int) -> VideoRecord:
    video = _video_id(n)
    return VideoRecord(
        id=video,
        gallery=GALLERY,
        name=f"camera-{n:05}.mp4",
        bytes=10_000_000 + n,
        sha256=f"{n:064x}",
        object=StoredObject("castlist", f"videos/{n}"),
        duration=60.0,
        width=1920,
        height=1080,
        frame_rate=25.0,
        recorded_at=_moment(n),
        external_id=None,
        created_at=START + timedelta(milliseconds=n),
        latest_epoch=1,
        latest_task_id=task_id(video, 1),
    )


def _profile(n: int, moments: Sequence[datetime]) -> ProfileRecord:
    at = START + timedelta(milliseconds=n // 3)  # several in one instant, as one commit makes them
    name = f"{NAMES[n // 10 % len(NAMES)]} {n}" if n % 10 == 0 else None
    return ProfileRecord(
        id=derived("bench", "profile", n),
        gallery=GALLERY,
        name=name,
        folded_name=name and folded(name),
        tags=("guest",) if n % 7 == 0 else (),
        hidden=n % 50 == 1,
        created_at=at,
        updated_at=at,
        version=1,
        video_count=len(moments),
        first_seen=min(moments),
        last_seen=max(moments),
        milliseconds=11_900 * len(moments) + n % 997,
    )


def _crop(n: int, k: int = 0) -> Crop:
    return Crop(crop_key(_video_id(n), 1, 0, k), 3.2, Box(210, 88, 96, 96), FrameSize(1920, 1080), 0.93)


def _appearance(n: int, video: int, k: int) -> AppearanceRecord:
    profile = derived("bench", "profile", n)
    record = AppearanceRecord(
        id=appearance_key(profile, _video_id(video)),
        gallery=GALLERY,
        profile_id=profile,
        video_id=_video_id(video),
        epoch=1,
        created_at=START + timedelta(milliseconds=n // 3 + k),
        video_at=_moment(video),
        persons=(person_key(_video_id(video), 1, k),),
        segments=(Segment(0.4, 9.1), Segment(27.8, 31.0)),
        seconds=11.9,
        faces=57,
        first_seen=0.4,
        last_seen=31.0,
        crop=_crop(video, k),
    )
    return msgspec.structs.replace(record, shown=appearance_json(record, f"camera-{video:05}.mp4"))


def _task() -> TaskRecord:
    return TaskRecord(
        id=task_id(_video_id(0), 1),
        video_id=_video_id(0),
        video_name="camera-00000.mp4",
        gallery=GALLERY,
        epoch=1,
        status="done",
        progress=1.0,
        created_at=START,
        updated_at=START,
        finished_at=START,
    )


async def _cursor(documents: MongoDocuments, asked: dict[str, Any], page: int) -> str:
    """The cursor behind all pages before the one DEEP in the list, by counting in the database."""
    order = order_of(ProfileQuery.model_validate(asked).sort)
    found = documents.database["profiles"].find({"gallery": GALLERY, "hidden": False}).sort(order.sort)
    skipped = found.skip((DEEP - 1) * page - 1).limit(1)
    (last,) = await skipped.to_list(None)
    return order.cursor(msgspec.convert(last, ProfileRecord))


# --- what is measured -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Service:
    """A query-api, and its process."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Seconds of CPU that it has taken."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def query_api(database: str) -> Iterator[Service]:
    """A query-api on `database`, as a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "MONGO_DATABASE": database, "QUERY_PORT": str(port), "LOG_LEVEL": "WARNING"}
    process = subprocess.Popen([sys.executable, "-m", "query_api"], env=environment)
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                if Client(port).get("/health/ready")[0] == 200:
                    break
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("query-api does not come up")
            time.sleep(0.1)
        yield Service(port, process.pid)
    finally:
        process.terminate()
        process.wait(10)


class Client:
    """One connection, with as little of its own as can be: it shares the machine with what it measures."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.connect()
        assert self._connection.sock is not None
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str, **parameters: Any) -> tuple[int, bytes]:
        """The status and the body of a GET."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        self._connection.request("GET", path + query)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def seconds(self, path: str, check: Callable[[bytes], None], **parameters: Any) -> float:
        """How long a GET takes; its body is checked afterwards."""
        began = time.perf_counter()
        status, body = self.get(path, **parameters)
        took = time.perf_counter() - began
        if status != 200:
            raise SystemExit(f"{path} {parameters}: {status} {body[:300]!r}")
        check(body)
        return took


def told(times: Sequence[float]) -> dict[str, float]:
    """Milliseconds at the median and the 99th percentile."""
    percentiles = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50": round(1000 * percentiles[49], 2), "p99": round(1000 * percentiles[98], 2)}


def measure(service: Service, asked: argparse.Namespace, deep: dict[str, str]) -> dict[str, Any]:
    """All figures, printed as they come."""
    client = Client(service.port)
    figures: dict[str, Any] = {}
    profiles: list[str] = []

    def of_kind(
        what: str, path: str, check: Callable[[bytes], None], turns: int, **parameters: Any
    ) -> dict[str, float]:
        for _ in range(5):  # it warms up
            client.seconds(path, check, **parameters)
        cpu, pressure = service.cpu(), Pressure()
        found = told([client.seconds(path, check, **parameters) for _ in range(turns)])
        found["cpu"] = round(1000 * (service.cpu() - cpu) / turns, 2)
        print(
            f"{what:34} p50 {found['p50']:7.2f} ms, p99 {found['p99']:7.2f} ms, {found['cpu']:6.2f} ms CPU; {pressure}"
        )
        return found

    def whole(body: bytes) -> None:
        page = json.loads(body)["items"]
        if len(page) != asked.page or any(len(one["appearances"]) != asked.videos for one in page):
            raise SystemExit("a page is not whole")
        profiles[:] = [one["id"] for one in page]

    def any_page(body: bytes) -> None:
        if len(json.loads(body)["items"]) > asked.page:
            raise SystemExit("a page is too long")

    def anything(body: bytes) -> None:
        if not body:
            raise SystemExit("an empty answer")

    here = {"gallery": GALLERY, "limit": asked.page}
    figures["page"] = of_kind("a page", "/profiles", whole, asked.requests, **here)
    figures["in_order"] = walk(client, asked, here)
    figures["profile"] = of_kind("one profile", f"/profiles/{profiles[0]}", anything, asked.requests)
    figures["task"] = of_kind("one task", f"/tasks/{task_id(_video_id(0), 1)}", anything, asked.requests)
    figures["crop"] = of_kind("one crop", f"/{_crop(0).key}", anything, asked.requests)
    figures["stats"] = of_kind("the gallery's numbers", f"/galleries/{GALLERY}/stats", anything, 20)
    some = max(20, asked.requests // 10)
    figures["sorts"] = {}
    for sort, cursor in deep.items():
        first = of_kind(f"by {sort}: page 1", "/profiles", whole, some, **here, sort=sort)
        far = of_kind(f"by {sort}: page {DEEP}", "/profiles", whole, some, **here, sort=sort, cursor=cursor)
        figures["sorts"][sort] = [first["p50"], far["p50"]]
    figures["filters"] = {}
    for name, parameters in FILTERS.items():
        first = of_kind(f"{name}: page 1", "/profiles", any_page, some, **here, **parameters)
        far = of_kind(
            f"{name}: from page {DEEP} on", "/profiles", any_page, some, **here, **parameters, cursor=deep["created_at"]
        )
        figures["filters"][name] = [first["p50"], far["p50"]]
    figures["at_once"] = at_once(service, asked, here, deep["created_at"])
    return figures


def walk(client: Client, asked: argparse.Namespace, here: dict[str, Any]) -> dict[str, float]:
    """Pages in order, each behind the one before."""
    times: list[float] = []
    cursor: dict[str, str] = {}
    for _ in range(asked.requests):
        began = time.perf_counter()
        status, body = client.get("/profiles", **here, **cursor)
        times.append(time.perf_counter() - began)
        following = json.loads(body)["next_cursor"] if status == 200 else None
        if following is None:
            break
        cursor = {"cursor": following}
    found = told(times)
    print(f"{f'{len(times)} pages in order':34} p50 {found['p50']:7.2f} ms, p99 {found['p99']:7.2f} ms")
    return found


def at_once(service: Service, asked: argparse.Namespace, here: dict[str, Any], cursor: str) -> dict[str, float]:
    """Pages a second, by as many clients."""
    until = time.perf_counter() + asked.seconds
    counts: list[int] = []
    times: list[float] = []

    def ask() -> None:
        client, count = Client(service.port), 0
        while time.perf_counter() < until:
            began = time.perf_counter()
            status, _ = client.get("/profiles", **here, cursor=cursor)
            times.append(time.perf_counter() - began)
            if status != 200:
                raise SystemExit(f"a page: {status}")
            count += 1
        counts.append(count)

    cpu, pressure, began = service.cpu(), Pressure(), time.perf_counter()
    clients = [threading.Thread(target=ask) for _ in range(asked.clients)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    spent = time.perf_counter() - began
    rate, cpu = sum(counts) / spent, (service.cpu() - cpu) / sum(counts)
    found = {"pages_per_second": round(rate, 1), "cpu": round(1000 * cpu, 2), **told(times)}
    print(f"{asked.clients} clients: {rate:.0f} pages a second, {1000 * cpu:.2f} ms CPU each; {pressure}")
    return found


if __name__ == "__main__":
    main()
