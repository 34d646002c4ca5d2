"""Other systems announce videos and read who is in them: docs/examples/producer.py, and what docs/producers.md says."""

import asyncio
import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from testkit import clips
from testkit.api import Api, new_gallery
from testkit.running_stack import RunningStack
from testkit.source import ROOT

pytestmark = pytest.mark.stack

# As docs/producers.md gives it to people who do not have our code.
NAMESPACE = uuid.UUID("6f1c1f4e-5b0a-5e0e-9d0c-6d1f4a5c7e21")


def example(file: Path, gallery: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the example; its exit code and the events that it printed."""
    command = [sys.executable, str(ROOT / "docs" / "examples" / "producer.py"), str(file), gallery]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def message(event: str, video_id: str, **fields: Any) -> bytes:
    """A message as another system would write it, each time under another `event_id`."""
    common = {"event": event, "version": 1, "event_id": str(uuid.uuid4()), "occurred_at": datetime.now(UTC).isoformat()}
    return json.dumps({**common, "video_id": video_id, **fields}).encode()


async def conversation(stack: RunningStack, video_id: str, *messages: tuple[str, bytes]) -> list[dict[str, Any]]:
    """Send messages in order, and read what is said about the video until its task is finished."""
    results = AIOKafkaConsumer("profile.events", bootstrap_servers=stack.kafka_bootstrap)
    said: list[dict[str, Any]] = []
    async with results, AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap, acks="all") as producer:
        await results.seek_to_end()
        for topic, value in messages:
            await producer.send_and_wait(topic, value, video_id.encode())
        async with asyncio.timeout(90):
            while not said or said[-1]["event"] != "TaskFinished":
                event = json.loads((await results.getone()).value)
                if event.get("video_id") == video_id:
                    said.append(event)
    return said


def test_the_example_says_who_is_in_its_video(api: Api) -> None:
    """Both people, then the end of the task, whose id follows from the video's; query-api shows the same."""
    gallery = new_gallery("announced")
    code, events = example(clips.sample("monday"), gallery)
    assert code == 0
    assert [event["event"] for event in events] == ["PersonAppeared", "PersonAppeared", "TaskFinished"]
    end = events[-1]
    assert end["task_id"] == str(uuid.uuid5(NAMESPACE, f"task\x1f{end['video_id']}\x1f1"))
    assert api.task(end["task_id"])["people"] == 2
    assert {profile["id"] for profile in api.profiles(gallery)} == {event["profile_id"] for event in events[:2]}
    assert {profile["appearances"][0]["video_name"] for profile in api.profiles(gallery)} == {"monday.mp4"}


def test_the_example_hears_of_a_failure(api: Api, tmp_path: Path) -> None:
    """What is not a video ends as a failed task with its reason, and no person appears."""
    (tmp_path / "notes.txt").write_text("These are notes and no video. " * 50)
    code, events = example(tmp_path / "notes.txt", new_gallery("announced"))
    assert code == 1
    assert [(event["event"], event["status"], event["code"]) for event in events] == [
        ("TaskFinished", "failed", "not_a_video")
    ]
    assert api.task(events[0]["task_id"])["error"]["code"] == "not_a_video"


async def test_a_cancel_may_come_before_its_video(stack: RunningStack, api: Api) -> None:
    """Both from another system, in the wrong order and twice: the task ends cancelled, and no person appears."""
    gallery, video_id = new_gallery("announced"), f"acme-{uuid.uuid4()}"
    missing = {"bucket": "castlist", "key": f"acme/{video_id}"}
    cancel = ("video.control", message("CancelVideo", video_id))
    announce = ("video.uploaded", message("VideoUploaded", video_id, gallery=gallery, object=missing))
    said = await conversation(stack, video_id, cancel, cancel, announce, announce)
    assert [(event["event"], event["status"]) for event in said] == [("TaskFinished", "cancelled")]
    assert api.profiles(gallery) == []


async def test_another_object_under_a_taken_id_is_a_dead_letter(stack: RunningStack) -> None:
    """It changes nothing, its bytes are kept with the reason, and the stream goes on."""
    gallery, video_id = new_gallery("announced"), f"acme-{uuid.uuid4()}"
    first = message("VideoUploaded", video_id, gallery=gallery, object={"bucket": "castlist", "key": "acme/none"})
    other = message("VideoUploaded", video_id, gallery=gallery, object={"bucket": "castlist", "key": "acme/other"})
    dead = AIOKafkaConsumer("video.uploaded.dead", bootstrap_servers=stack.kafka_bootstrap)
    async with dead:
        await dead.seek_to_end()
        said = await conversation(stack, video_id, ("video.uploaded", first), ("video.uploaded", other))
        assert (said[-1]["status"], said[-1]["code"]) == ("failed", "object_missing")
        async with asyncio.timeout(30):
            while (letter := await dead.getone()).value != other:
                pass
    assert b"another object" in dict(letter.headers)["error"]
