"""A gallery out of a running stack and into a fresh one, and into another gallery: by the command line, over HTTP."""

import asyncio
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from castlist.service.settings import Settings
from testkit import clips
from testkit.api import Api, new_gallery
from testkit.database import Database, are_done
from testkit.eventually import eventually
from testkit.own_installation import installation
from testkit.own_service import own_service
from testkit.running_stack import RunningStack, connected
from testkit.synthetic import SyntheticVideo, submit

pytestmark = pytest.mark.stack


@contextmanager
def fresh(stack: RunningStack) -> Iterator[str]:
    """Another installation, with a database, a bucket and topics of its own: where its query-api answers."""
    with installation(stack) as settings, services(settings) as url:
        yield url


@contextmanager
def services(settings: Settings) -> Iterator[str]:
    prefix = {"CASTLIST_PREFIX": settings.castlist_prefix}
    with (
        own_service("profile_aggregator", "AGGREGATOR_PORT", **prefix),
        own_service("query_api", "QUERY_PORT", **prefix) as query,
    ):
        yield query.url


def castlist(query: str, *arguments: str) -> dict[str, Any]:
    """What `castlist --json …` says, which must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "castlist_client.cli", "--json", "--query", query, *arguments],
        capture_output=True, text=True, env=os.environ, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def shown(query: str, gallery: str) -> dict[str, Any]:
    """Its people as anybody sees them, by id; without the moments at which they came here."""
    people = httpx2.get(f"{query}/profiles", params={"gallery": gallery, "hidden": "any"}).json()["items"]
    return {person["id"]: {name: value for name, value in person.items() if name != "updated_at"} for person in people}


@pytest.fixture
def labelled(api: Api) -> str:
    """A gallery of clips of the sample, put right by hand."""
    gallery = new_gallery("along")
    for day in ("monday", "tuesday", "wednesday"):
        assert api.finished(api.submit(clips.sample(day), gallery)["task_id"])["status"] == "done"
    one, other, *_ = api.profiles(gallery)
    for path, body in (
        (f"/profiles/{one['id']}", {"name": "Ada", "tags": ["guest"], "notes": "Speaks."}),
        (f"/profiles/{other['id']}", {"name": "Bea", "hidden": True}),
    ):
        assert api.http.patch(f"{api.query}{path}", json=body).status_code == 200
    last = api.profiles(gallery)[-1]["id"]
    assert last != one["id"]
    merged = api.http.post(f"{api.query}/profiles/{one['id']}/merge", json={"profiles": [last]})
    assert merged.status_code == 200
    return gallery


def test_in_a_fresh_installation_the_same_people_have_the_same_names_and_ids(
    stack: RunningStack, api: Api, labelled: str, tmp_path: Path
) -> None:
    """Their pictures, appearances and history too; a decision is taken back there, a file is played there."""
    archive, with_files = tmp_path / "along.tar", tmp_path / "files.tar"
    out = castlist(api.query, "export", str(archive), "-g", labelled)
    assert out["bytes"] == archive.stat().st_size
    castlist(api.query, "export", str(with_files), "-g", labelled, "--videos")
    here = shown(api.query, labelled)
    history = api.get(f"/galleries/{labelled}/changes").json()["items"]
    with fresh(stack) as there:
        imported = castlist(there, "import", str(with_files), "-g", labelled)["change"]
        assert (imported["status"], imported["detail"]["profiles"]) == ("applied", len(here))
        assert castlist(there, "import", str(with_files), "-g", labelled)["change"] == imported
        assert shown(there, labelled) == here
        for person in here.values():
            for appearance in person["appearances"]:
                crop = httpx2.get(f"{there}{appearance['crop']['url']}").content
                assert crop == api.get(appearance["crop"]["url"]).content
                played = httpx2.get(f"{there}/videos/{appearance['video_id']}/content").content
                assert played == api.get(f"/videos/{appearance['video_id']}/content").content
        told = httpx2.get(f"{there}/galleries/{labelled}/changes").json()["items"]
        assert [one for one in told if one["kind"] != "import"] == history
        assert httpx2.get(f"{there}/galleries/{labelled}").json()["settled"]
        # What was decided there can be taken back here.
        (merge,) = (one["id"] for one in history if one["kind"] == "merge")
        for query in (api.query, there):
            assert httpx2.post(f"{query}/changes/{merge}/undo", timeout=30).status_code == 200
        assert {id: one["name"] for id, one in shown(there, labelled).items()} == {
            id: one["name"] for id, one in shown(api.query, labelled).items()
        }


def test_in_another_gallery_of_the_same_installation_everything_has_another_id(
    api: Api, labelled: str, tmp_path: Path
) -> None:
    """Which the answer names; the first gallery is as it was, and an archive that is none is refused."""
    copy, broken = new_gallery("copy"), new_gallery("broken")
    archive = api.get(f"/galleries/{labelled}/export")
    etag, whole = archive.headers["etag"], archive.content
    rest = api.http.get(f"{api.query}/galleries/{labelled}/export", headers={"Range": "bytes=10000-", "If-Range": etag})
    assert (rest.status_code, rest.content) == (206, whole[10000:])
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        assert {"castlist.json", "people.jsonl", "decisions.jsonl", "videos.jsonl", "seal.json"} <= set(tar.getnames())
    before = shown(api.query, labelled)

    def put(gallery: str, content: bytes) -> httpx2.Response:
        return api.http.post(f"{api.query}/galleries/{gallery}/import", content=content)

    change = put(copy, whole).json()
    ids = change["detail"]["ids"]["profiles"]
    assert {ids[id]: one["name"] for id, one in before.items()} == {
        id: one["name"] for id, one in shown(api.query, copy).items()
    }
    assert shown(api.query, labelled) == before
    video = change["detail"]["ids"]["videos"][next(iter(before.values()))["appearances"][0]["video_id"]]
    assert api.get(f"/videos/{video}/content").status_code == 200
    for content in (whole[:-30_000], whole[:20_000] + b"?" + whole[20_001:], b"no archive"):
        refused = put(broken, content)
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert put(copy, whole).json() == change
    again = put(labelled, whole)
    assert (again.status_code, "not empty" in again.json()["detail"]) == (409, True)
    assert api.get("/profiles", gallery=broken).json()["items"] == []


def test_tables_and_timelines_are_written_by_what_the_file_is_called(api: Api, labelled: str, tmp_path: Path) -> None:
    """A row an appearance; markers of a video, stretches of a person."""
    person = next(one for one in api.profiles(labelled) if one["name"] == "Ada")
    appearance = person["appearances"][0]
    castlist(api.query, "export", str(tmp_path / "who.csv"), "-g", labelled)
    castlist(api.query, "export", str(tmp_path / "who.jsonl"), "-g", labelled)
    rows = [json.loads(line) for line in (tmp_path / "who.jsonl").read_text().splitlines()]
    assert len((tmp_path / "who.csv").read_text().splitlines()) == 1 + len(rows)
    assert {row["video_id"] for row in rows if row["profile_id"] == person["id"]} == {
        one["video_id"] for one in person["appearances"]
    }
    for name, options, expected in (
        ("lobby.vtt", ["--video", appearance["video_id"], "--person", person["id"]], "Ada"),
        ("lobby.edl", ["--video", appearance["video_id"]], "|M:Ada |D:"),
        ("lobby.otio", ["--video", appearance["video_id"]], '"Marker.2"'),
        ("ada.edl", ["--person", person["id"]], f"* FROM CLIP NAME: {appearance['video_name']}"),
        ("ada.otio", ["--person", person["id"]], '"Clip.2"'),
    ):
        castlist(api.query, "export", str(tmp_path / name), *options)
        assert expected in (tmp_path / name).read_text(), name
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.faults
def test_an_import_goes_on_where_the_aggregator_was_killed(stack: RunningStack, api: Api, database: Database) -> None:
    """With SIGKILL, in the midst of it: all is there in the end, once."""
    gallery, copy = new_gallery("along"), new_gallery("copy")

    async def fill() -> None:
        async with connected(stack) as (store, publisher):
            for number in range(160):
                await submit(store, publisher, SyntheticVideo(f"{gallery}-{number}", gallery, [[1, 2], [number]]))

    asyncio.run(fill())
    eventually(lambda: are_done(database, gallery, 160), 120)
    archive = api.get(f"/galleries/{gallery}/export").content
    prefer = {"Prefer": "respond-async"}
    accepted = api.http.post(f"{api.query}/galleries/{copy}/import", content=archive, headers=prefer).json()
    eventually(lambda: database.videos.count_documents({"gallery": copy}) > 0, pause=0.001)
    killed = stack.kill("profile-aggregator")
    stack.wait_restarted("profile-aggregator", killed)

    change = eventually(lambda: done(api, accepted["id"]), 60)
    assert (change["status"], change["detail"]["videos"]) == ("applied", 160)
    ids = change["detail"]["ids"]["profiles"]
    assert {ids[id] for id in shown_all(database, gallery)} == shown_all(database, copy)


def done(api: Api, change: str) -> dict[str, Any] | None:
    """The change, once it is no longer pending."""
    found: dict[str, Any] = api.get(f"/changes/{change}").json()
    return None if found["status"] == "pending" else found


def shown_all(database: Database, gallery: str) -> set[str]:
    """The ids of its profiles."""
    return {one["_id"] for one in database.profiles.find({"gallery": gallery})}
