"""What one video, message or command of uncommon size costs a plain clip in another gallery.

    python bench/oversized.py [--only conference,still,film,epoch,message] [--plain 3]

On a stack of its own: how long plain clips take by themselves, then how long they take while the system has to do with
each of these, what becomes of it, and the largest process meanwhile. `conference` is an hour with 25 people on screen
as messages, `film` ten minutes of the like as a video, `still` 40 faces in a picture for half an hour, `epoch` the
deletion of a video whose epoch is a timestamp, `message` 17 MB of text in one event. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from aiokafka import AIOKafkaProducer
from machine import at_rest, watched
from own_stack import own_stack

from castlist.clock import now_utc
from castlist.contract.events import ChunkFailed
from castlist.contract.ids import task_id
from castlist.contract.topics import FACE_ENCODINGS
from castlist.tasks.registration import register
from testkit import clips
from testkit.api import Api, new_gallery
from testkit.eventually import eventually, eventually_async
from testkit.running_stack import RunningStack, connected
from testkit.synthetic import SyntheticVideo, submit

PATIENCE = 900.0


@dataclass
class Busy:
    """What the system has to do with: `end` waits until it is through, and says how it ended."""

    end: Callable[[], str]


class Largest:
    """The largest process of ours below the supervisor as far as it was looked at, in MB."""

    def __init__(self, stack: RunningStack) -> None:
        self._root = psutil.Process(stack.pid("profile-aggregator")).parent()
        self.mb = 0

    def look(self) -> None:
        """Once."""
        assert self._root is not None
        for process in self._root.children(recursive=True):
            try:
                if "java" not in process.name() and "mongod" not in process.name():
                    self.mb = max(self.mb, process.memory_info().rss >> 20)
            except psutil.Error:
                continue


def conference(stack: RunningStack, api: Api, folder: Path) -> Busy:
    """240 chunks of 25 people, seen in every sample."""
    video = SyntheticVideo(uuid.uuid4().hex, new_gallery("conference"), [list(range(25))] * 240, sightings=75)

    async def send() -> None:
        async with connected(stack) as (store, publisher):
            await submit(store, publisher, video)

    asyncio.run(send())
    return Busy(lambda: ended(api, task_id(video.video_id, 1)))


def film(stack: RunningStack, api: Api, folder: Path) -> Busy:
    """Ten minutes of 25 tiles, uploaded."""
    faces = [cv2.resize(picture, (384, 216)) for picture in clips.frames("monday")]

    def pictures() -> Iterator[Any]:
        for number in range(600 * 5):
            tiles = [faces[(number + 7 * tile) % len(faces)] for tile in range(25)]
            yield np.vstack([np.hstack(tiles[row : row + 5]) for row in range(0, 25, 5)])

    return uploaded(api, written(folder / "film.mp4", pictures(), 5), "film")


def still(stack: RunningStack, api: Api, folder: Path) -> Busy:
    """40 faces in one picture of 3840 × 2160, for half an hour."""
    faces = [cv2.resize(picture, (480, 432)) for picture in clips.frames("monday")[::5]]
    rows = [np.hstack([faces[(8 * row + tile) % len(faces)] for tile in range(8)]) for row in range(5)]
    picture = np.vstack(rows)
    path = written(folder / "still.mp4", (picture for _ in range(360)), Fraction(1, 5))
    return uploaded(api, path, "still")


def epoch(stack: RunningStack, api: Api, folder: Path) -> Busy:
    """Registered by another system under a timestamp as its epoch, committed, deleted."""
    video = SyntheticVideo(uuid.uuid4().hex, new_gallery("epoch"), [[1]], epoch=1_760_000_000)

    async def send() -> None:
        async with connected(stack) as (store, publisher):
            await submit(store, publisher, video)
            task = task_id(video.video_id, video.epoch)
            await eventually_async(lambda: api.task(task)["status"] == "done", PATIENCE)

    asyncio.run(send())
    api.http.delete(f"{api.query}/videos/{video.video_id}").raise_for_status()

    def end() -> str:
        eventually(lambda: api.get(f"/videos/{video.video_id}").status_code == 404, PATIENCE)
        eventually(lambda: api.is_settled(video.gallery), PATIENCE)
        return "deleted"

    return Busy(end)


def message(stack: RunningStack, api: Api, folder: Path) -> Busy:
    """A failure with 17 MB of reason, which compresses to a few KB: no valid event, so its video goes on."""
    video = SyntheticVideo(uuid.uuid4().hex, new_gallery("message"), [[1]])
    event = ChunkFailed.model_construct(
        event="ChunkFailed", version=1, event_id=uuid.uuid4().hex, occurred_at=now_utc(), video_id=video.video_id,
        epoch=1, gallery=video.gallery, chunk=0, code="undecodable", message="x" * 17_000_000,
    )  # fmt: skip

    async def send() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=stack.kafka_bootstrap, compression_type="gzip", max_request_size=20_000_000
        )
        async with connected(stack) as (store, publisher), producer:
            await register(store, video.uploaded(), now_utc())
            await producer.send_and_wait(
                FACE_ENCODINGS.name, event.model_dump_json().encode(), key=video.video_id.encode()
            )
            await submit(store, publisher, video)

    asyncio.run(send())
    return Busy(lambda: ended(api, task_id(video.video_id, 1)))


def written(path: Path, pictures: Iterable[Any], rate: int | Fraction) -> Path:
    """H.264, a keyframe every 15 s."""
    return clips.write(path, pictures, options={"preset": "ultrafast", "crf": "24"}, rate=rate, gop=int(15 * rate))


def uploaded(api: Api, path: Path, purpose: str) -> Busy:
    """Sent as a user does."""
    submitted = api.submit(path, new_gallery(purpose))
    return Busy(lambda: ended(api, submitted["task_id"]))


def ended(api: Api, task: str) -> str:
    """In which state."""
    found = api.finished(task, PATIENCE)
    people = api.get(f"/videos/{found['video_id']}/profiles").json()["items"] if found["status"] == "done" else []
    return f"{found['status']}, {len(people)} people" if people else str(found["status"])


KINDS = {"conference": conference, "film": film, "still": still, "epoch": epoch, "message": message}


def plain(api: Api, folder: Path) -> float:
    """Seconds from the upload of a 1 s clip until its task is final."""
    path = clips.write(folder / f"{uuid.uuid4().hex}.mp4", clips.two_people(1.0), comment=uuid.uuid4().hex)
    started = time.monotonic()
    task = api.finished(api.submit(path, new_gallery("plain"))["task_id"], PATIENCE)
    assert task["status"] == "done", task
    return time.monotonic() - started


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(KINDS), help="names, joined by commas")
    parser.add_argument("--plain", type=int, default=3, help="plain clips beside each")
    asked = parser.parse_args()
    before = at_rest()
    print(before, flush=True)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, own_stack("oversized", 2) as stack:
        api, folder = Api(stack), Path(name)
        plain(api, folder)
        alone = statistics.median(plain(api, folder) for _ in range(asked.plain))
        print(f"{'':12}{'plain clips':>12}{'times':>7}{'largest':>10}   what became of it")
        print(f"{'by itself':12}{alone:10.2f} s{1:7.1f}", flush=True)
        for kind in asked.only.split(","):
            largest, started = Largest(stack), time.monotonic()
            with watched(largest.look):
                busy = KINDS[kind](stack, api, folder)
                beside = [plain(api, folder) for _ in range(asked.plain)]
                end = busy.end()
            took = time.monotonic() - started
            middle, worst = statistics.median(beside), max(beside)
            print(
                f"{kind:12}{middle:10.2f} s{middle / alone:7.1f}{largest.mb:7} MB   {end}, after {took:.0f} s; "
                f"the slowest plain clip {worst:.2f} s",
                flush=True,
            )
            results[kind] = {"plain": middle, "slowest": worst, "took": took, "largest_mb": largest.mb, "end": end}
    print(json.dumps({"before": before, "alone": alone, **results}))


if __name__ == "__main__":
    main()
