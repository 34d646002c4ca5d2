"""Hearing of a gallery on the real stack: webhooks to a real receiver, watches, and events as they happen."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from castlist_client.cli import main
from castlist_client.client import Client, GalleryEvent, NotFoundError
from testkit.api import Api, new_gallery
from testkit.eventually import eventually, eventually_async
from testkit.receiver import Receiver, receiver
from testkit.running_stack import RunningStack, connected
from testkit.synthetic import SyntheticVideo, submit

pytestmark = [pytest.mark.stack, pytest.mark.services]


async def put_in(stack: RunningStack, api: Api, gallery: str, *videos: tuple[str, list[int]]) -> None:
    """Videos with these people in each, until they are in the gallery."""
    async with connected(stack) as (store, publisher):
        for name, people in videos:
            await submit(store, publisher, SyntheticVideo(f"{gallery}-{name}", gallery, [people]))
    eventually(lambda: api.is_settled(gallery))


def person(api: Api, video: str) -> str:
    """Who is in a video with one person."""
    (found,) = api.get(f"/videos/{video}/profiles").json()["items"]
    return str(found["id"])


def add_webhook(api: Api, gallery: str, there: Receiver, **more: Any) -> str:
    answer = api.http.post(f"{api.query}/galleries/{gallery}/webhooks", json={"url": f"{there.url}/hook", **more})
    assert answer.status_code == 201, answer.text
    there.secret = answer.json()["secret"]
    return str(answer.json()["id"])


def watched(there: Receiver) -> list[str]:
    """The videos that watches have spoken of."""
    return [one["video_id"] for one in there.taken if one["event"] == "WatchedPersonAppeared"]


class Followed(threading.Thread):
    """The events of a gallery, read in a thread."""

    def __init__(self, api: Api, gallery: str, last: str | None) -> None:
        super().__init__(daemon=True)
        self._url, self._last = f"{api.query}/galleries/{gallery}/events", last
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ids: list[str] = []
        self._stop = threading.Event()

    def run(self) -> None:
        with contextlib.suppress(httpx2.TransportError):  # cut off: what came until then counts
            self._read()

    def _read(self) -> None:
        headers = {"Last-Event-ID": self._last} if self._last else {}
        with httpx2.stream("GET", self._url, headers=headers, timeout=30) as response:
            name = ""
            for line in response.iter_lines():
                field, _, value = line.partition(": ")
                if field == "id":
                    self.ids.append(value)
                elif field == "event":
                    name = value
                elif field == "data":
                    self.events.append((name, json.loads(value)))
                if self._stop.is_set():
                    return

    def stop(self) -> None:
        """At its next line."""
        self._stop.set()


@contextlib.contextmanager
def followed(api: Api, gallery: str, last: str | None = None) -> Iterator[Followed]:
    """From now on, or from behind an event, once it is connected."""
    stream = Followed(api, gallery, last)
    stream.start()
    eventually(lambda: stream.ids)
    try:
        yield stream
    finally:
        stream.stop()


async def test_a_receiver_hears_of_everything_in_order(stack: RunningStack, api: Api) -> None:
    """Though it fails, redirects, is away, and the sender is killed: each message arrives, signed, after those before
    it, and what it was told is what followers of the gallery's events were told."""
    gallery = new_gallery("hooks")
    await put_in(stack, api, gallery, ("first", [1]))
    with receiver() as there, followed(api, gallery) as stream:
        there.answers = [500, 302, 200, 429, 200]
        hook = add_webhook(api, gallery, there)
        watch = api.http.post(f"{api.query}/profiles/{person(api, f'{gallery}-first')}/watches")
        assert watch.status_code == 201
        eventually(lambda: watched(there) == [f"{gallery}-first"])
        await put_in(stack, api, gallery, ("second", [1, 2]))
        eventually(lambda: f"{gallery}-second" in watched(there))
        there.away.set()
        await put_in(stack, api, gallery, ("third", [1]), ("fourth", [2]))
        before = stack.kill("query-api")
        there.away.clear()
        stack.wait_restarted("query-api", before)
        await put_in(stack, api, gallery, ("fifth", [3]))
        eventually(lambda: not api.get(f"/webhooks/{hook}").json()["waiting"])
        assert {path for _, path, _ in there.received} == {"/hook"}
        assert 401 not in {status for status, _, _ in there.received}
    with followed(api, gallery, stream.ids[0]) as again:
        eventually(lambda: len(again.events) >= len(there.taken))
    assert [data for _, data in again.events] == there.taken
    assert [name for name, _ in again.events] == [one["event"] for one in there.taken]
    assert stream.events == again.events[: len(stream.events)]
    assert stream.events
    places = [(one["gallery_version"], one["index"]) for one in there.taken if "gallery_version" in one]
    assert places == sorted(places)
    finished = [one["video_id"] for one in there.taken if one["event"] == "TaskFinished"]
    assert sorted(finished) == sorted(f"{gallery}-{name}" for name in ("second", "third", "fourth", "fifth"))


async def test_a_watch_goes_with_a_merge_and_its_undo(stack: RunningStack, api: Api) -> None:
    """What was processed before is told at once, then what is learnt and what comes; each video once."""
    gallery = new_gallery("watch")
    await put_in(stack, api, gallery, ("a", [1]), ("b", [1]), ("x", [2]))
    ann, bea = person(api, f"{gallery}-a"), person(api, f"{gallery}-x")
    with receiver() as there:
        add_webhook(api, gallery, there, events=["WatchedPersonAppeared"])
        watch = api.http.post(f"{api.query}/profiles/{ann}/watches").json()
        eventually(lambda: sorted(watched(there)) == [f"{gallery}-a", f"{gallery}-b"])
        merged = api.http.post(f"{api.query}/profiles/{bea}/merge", json={"profiles": [ann]})
        assert merged.status_code == 200, merged.text
        eventually(lambda: watched(there)[2:] == [f"{gallery}-x"])
        assert api.get(f"/watches/{watch['id']}").json()["holder"] == bea
        await put_in(stack, api, gallery, ("y", [2]))
        eventually(lambda: watched(there)[3:] == [f"{gallery}-y"])
        assert api.http.post(f"{api.query}/changes/{merged.json()['id']}/undo").status_code == 200
        await put_in(stack, api, gallery, ("z", [2]), ("c", [1]))
        eventually(lambda: watched(there)[4:] == [f"{gallery}-c"])
        assert {one["watched"] for one in there.taken} == {ann}
        assert there.taken[-1]["profile_id"] == ann


async def test_what_was_given_up_is_sent_once_more(stack: RunningStack, api: Api) -> None:
    """A receiver that refuses a message gets the others, and the refused one when it is asked for."""
    gallery = new_gallery("refuse")
    await put_in(stack, api, gallery, ("a", [1]))
    with receiver() as there:
        hook = add_webhook(api, gallery, there, events=["TaskFinished"])
        gone = api.http.post(f"{api.query}/galleries/{gallery}/webhooks", json={"url": "http://127.0.0.1:1/"}).json()
        there.answers = [410]
        await put_in(stack, api, gallery, ("b", [1]))
        eventually(lambda: api.get(f"/webhooks/{hook}").json()["disabled_at"])
        (dead,) = api.get(f"/webhooks/{hook}/deliveries").json()["items"]
        assert (dead["http_status"], dead["event"]) == (410, "TaskFinished")
        replay = api.http.post(f"{api.query}/webhooks/{hook}/replay", json={"deliveries": [dead["id"]]})
        assert replay.json() == {"queued": 1}, replay.text
        await put_in(stack, api, gallery, ("c", [1]))
        eventually(lambda: [one["video_id"] for one in there.taken] == [f"{gallery}-b", f"{gallery}-c"])
        failing = api.get(f"/webhooks/{gone['id']}").json()
        assert failing["waiting"]
        assert failing["failing_since"]
        for id in (hook, gone["id"]):
            assert api.http.delete(f"{api.query}/webhooks/{id}").status_code == 204


async def test_the_client_follows_a_gallery_and_watches_for_people(stack: RunningStack, api: Api) -> None:
    """From the command line and in Python; what breaks off is taken up again, and nothing comes twice."""
    gallery = new_gallery("alert")
    await put_in(stack, api, gallery, ("a", [1]))
    ann = person(api, f"{gallery}-a")
    async with Client(stack.ingest_url, stack.query_url, patience=60) as castlist:
        told: list[GalleryEvent] = []

        async def follow(after: str | None) -> None:
            async with contextlib.aclosing(castlist.events(gallery, after)) as events:
                async for event in events:
                    told.append(event)

        following = asyncio.create_task(follow("1.0"))
        code, shown = await asyncio.to_thread(command, stack, "alert", ann)
        assert (code, [one["profile_id"] for one in shown["watches"]]) == (0, [ann])
        await eventually_async(lambda: told and told[-1].name == "WatchedPersonAppeared")
        before = stack.kill("query-api")
        stack.wait_restarted("query-api", before)
        await put_in(stack, api, gallery, ("b", [1]))
        await eventually_async(lambda: [one.data.get("video_id") for one in told][-1:] == [f"{gallery}-b"])
        ids = [one.data["event_id"] for one in told]
        assert len(set(ids)) == len(ids)
        half = told[len(told) // 2]
        again = castlist.events(gallery, half.id)
        assert await anext(again) == told[len(told) // 2 + 1]
        await again.aclose()
        following.cancel()
        with pytest.raises(NotFoundError):
            await anext(castlist.events("no-such-gallery"))
    code, shown = await asyncio.to_thread(command, stack, "alert", "-g", gallery)
    assert [one["profile_id"] for one in shown["watches"]] == [ann]
    code, shown = await asyncio.to_thread(command, stack, "alert", "--off", ann)
    assert (code, len(shown["watches"])) == (0, 1)
    assert api.get(f"/galleries/{gallery}/watches").json()["items"] == []


def command(stack: RunningStack, *arguments: str) -> tuple[int, dict[str, Any]]:
    """`castlist --json …` on the stack."""
    where = ["--ingest", stack.ingest_url, "--query", stack.query_url]
    done = CliRunner().invoke(main, [*where, "--json", *arguments])
    return done.exit_code, json.loads(done.stdout)
