"""A small installation as a folder: what lies in its MongoDB, bucket and topics, and what it answers.

`python -m testkit.installation FOLDER` (in tests/) brings a stack up, fills it, and writes the folder; that was done
with the version that the folder is named after. Nobody real is in it: encodings are synthetic, crops are drawn.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
from bson import json_util

from castlist.adapters import s3
from castlist.adapters.s3 import S3Objects
from castlist.clock import now_utc
from castlist.contract.commands import CancelVideo
from castlist.contract.events import ChunkFailed
from castlist.contract.ids import crops_prefix, event_id, run_key
from castlist.contract.topics import TOPICS
from castlist.service.settings import Settings
from castlist.store.query import eq
from castlist.store.records.runs import ChunkResultRecord
from castlist.store.store import Store
from castlist.tasks.registration import register
from testkit import database
from testkit.api import Api
from testkit.eventually import eventually_async
from testkit.running_stack import RunningStack, connected, whole_topic
from testkit.synthetic import SyntheticVideo, submit

DATA = Path(__file__).resolve().parents[1] / "data"
VERSIONS = sorted(found.parent for found in DATA.glob("*/answers.json"))
"""The installations that we have."""
NEWSROOM = (
    SyntheticVideo("lobby", "newsroom", [[1, 2], [1]]),
    SyntheticVideo("studio", "newsroom", [[1], [3]]),
    SyntheticVideo("street", "newsroom", [[2, 3, 4]]),
    SyntheticVideo("roof", "newsroom", [[5]]),
)
GONE = SyntheticVideo("gone", "newsroom", [[6]])
ARCHIVE = (SyntheticVideo("reel-1", "archive", [[1], [7]]), SyntheticVideo("reel-2", "archive", [[7]]))
WAITING = SyntheticVideo("waiting", "archive", [[1], [7]])
ANSWERED = (
    "/galleries", "/galleries/newsroom", "/galleries/newsroom/settings", "/galleries/archive/settings",
    "/galleries/newsroom/suggestions", "/profiles?gallery=newsroom", "/profiles?gallery=archive&sort=name",
    "/videos?gallery=newsroom", "/videos?gallery=archive", "/tasks?gallery=newsroom&status=done",
    "/tasks?gallery=newsroom&status=failed", "/tasks?gallery=archive",
    *(f"/videos/{video.video_id}/profiles" for video in (*NEWSROOM, *ARCHIVE)),
)  # fmt: skip


def drawn_crop(video: SyntheticVideo, person: int) -> bytes:
    """A JPEG of a face that is nobody's."""
    picture = np.full((64, 64, 3), 40 + 25 * person, np.uint8)
    cv2.circle(picture, (32, 32), 24, (90, 160, 220), -1)
    cv2.putText(picture, f"{video.video_id[:4]}{person}", (4, 60), cv2.FONT_HERSHEY_PLAIN, 0.8, (0, 0, 0))
    done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert done
    return jpeg.tobytes()


# --- filling one ------------------------------------------------------------------------------------------------------


async def fill(stack: RunningStack) -> None:
    """Videos whose people are known, one that failed, one cancelled, one deleted, one half-way; a name, settings."""
    api = Api(stack)
    async with connected(stack) as (store, publisher), bucket_of(stack) as objects:
        for video in (*NEWSROOM, GONE, *ARCHIVE, WAITING):
            await objects.put(f"synthetic/{video.video_id}", b"no video", "video/mp4")
            for event in video.encoded():
                people = zip(event.tracks, video.chunks[event.chunk], strict=True)
                for track, person in people:
                    await objects.put(track.crop.key, drawn_crop(video, person), "image/jpeg")
        for video in (*NEWSROOM, GONE, *ARCHIVE):
            await submit(store, publisher, video)
            await eventually_async(partial(_done, api, video))
        failed, cancelled = (SyntheticVideo(name, "newsroom", [[1]]) for name in ("broken", "unwanted"))
        for video in (failed, cancelled):
            await register(store, video.uploaded(), now_utc())
        await publisher.publish(
            ChunkFailed(
                event_id=event_id("ChunkFailed", "broken"), occurred_at=now_utc(), video_id="broken", epoch=1,
                gallery="newsroom", chunk=0, code="undecodable", message="No decoder for it.",
            ),
            CancelVideo(event_id="cancel-unwanted", occurred_at=now_utc(), video_id="unwanted"),
        )  # fmt: skip
        ada = api.get("/videos/roof/profiles").json()["items"][0]["id"]
        for gallery, path, change in (
            ("newsroom", f"/profiles/{ada}", {"name": "Ada Lovelace"}),
            ("newsroom", "/galleries/newsroom/settings", {"across_video_distance": 0.05}),  # everybody by themselves
            ("newsroom", "/galleries/newsroom/settings", {"across_video_distance": "auto"}),  # and merged again
            ("archive", "/galleries/archive/settings", {"smallest_face": 40, "across_video_distance": 0.5}),
        ):
            api.http.patch(f"{api.query}{path}", json=change).raise_for_status()
            await eventually_async(partial(api.is_settled, gallery))
        api.http.delete(f"{api.query}/videos/gone").raise_for_status()
        await eventually_async(lambda: api.is_settled("newsroom"))
        await eventually_async(partial(_nothing_under, objects, crops_prefix(GONE.video_id, 1)))
        await register(store, WAITING.uploaded(), now_utc())
        await WAITING.store_plan(store)
        await publisher.publish(WAITING.planned(), WAITING.encoded()[0])
        await eventually_async(partial(_half_way, store))


async def _half_way(store: Store) -> bool:
    return bool(await store.chunks.find(eq(ChunkResultRecord.run, run_key(WAITING.video_id, 1))))


async def _nothing_under(objects: S3Objects, prefix: str) -> bool:
    return not await objects.list(prefix)


def _done(api: Api, video: SyntheticVideo) -> bool:
    tasks = api.get("/tasks", video_id=video.video_id).json()["items"]
    return bool(tasks and tasks[0]["status"] == "done")


@contextlib.asynccontextmanager
async def bucket_of(stack: RunningStack) -> AsyncIterator[S3Objects]:
    """The stack's bucket."""
    async with s3.connect(*Settings(s3_endpoint=stack.s3_endpoint).s3) as objects:
        yield objects


# --- writing and reading the folder -----------------------------------------------------------------------------------


async def write(stack: RunningStack, folder: Path) -> None:
    """Everything that the stack holds, and its answers."""
    documents = database.connect(stack.mongo_url)
    for name in sorted(documents.list_collection_names()):
        lines = [json_util.dumps(one, sort_keys=True) for one in documents[name].find().sort("_id")]
        _write_lines(folder / "mongodb" / f"{name}.jsonl", lines)
    documents.client.close()
    async with bucket_of(stack) as objects:
        for info in await objects.list(""):
            path = folder / "bucket" / info.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(await objects.get(info.key))
    for topic in TOPICS:
        records = await whole_topic(stack, topic.name)
        lines = [json.dumps({"key": one.key.decode(), "value": one.value.decode()}) for one in records]
        _write_lines(folder / "topics" / f"{topic.name}.jsonl", lines)
    answers = {path: httpx2.get(f"{stack.query_url}{path}").json() for path in ANSWERED}
    (folder / "answers.json").write_text(json.dumps(answers, indent=1, sort_keys=True) + "\n")


def _write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def documents_in(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Each collection's documents."""
    options = json_util.JSONOptions(tz_aware=True, json_mode=json_util.JSONMode.RELAXED)
    return {
        path.stem: [json_util.loads(line, json_options=options) for line in path.read_text().splitlines()]
        for path in sorted((folder / "mongodb").glob("*.jsonl"))
    }


def objects_in(folder: Path) -> dict[str, bytes]:
    """What lies in the bucket, by key."""
    bucket = folder / "bucket"
    return {str(path.relative_to(bucket)): path.read_bytes() for path in sorted(bucket.rglob("*")) if path.is_file()}


def messages_in(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """(topic, key, value) of each message."""
    for path in sorted((folder / "topics").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            message = json.loads(line)
            yield path.stem, message["key"], message["value"].encode()


def answers_in(folder: Path) -> Mapping[str, Any]:
    """What it answered, by path."""
    answers: dict[str, Any] = json.loads((folder / "answers.json").read_text())
    return answers


def main() -> None:
    """Entry point."""
    from bench.own_stack import own_stack

    folder = Path(sys.argv[1])
    with own_stack("installation", 1) as stack:
        asyncio.run(fill(stack))
        asyncio.run(write(stack, folder))


if __name__ == "__main__":
    main()
