"""The command line against the real services, as a script or a person runs it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from castlist_client.client import Client
from testkit import clips
from testkit.api import Api, new_gallery
from testkit.database import Database
from testkit.eventually import eventually
from testkit.running_stack import RunningStack

pytestmark = pytest.mark.stack


def start(stack: RunningStack, *arguments: str) -> subprocess.Popen[str]:
    """`castlist --json …` on the stack."""
    where = {"INGEST_URL": stack.ingest_url, "QUERY_URL": stack.query_url}
    return subprocess.Popen(
        [sys.executable, "-m", "castlist_client.cli", "--json", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **where},
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """Its exit code, the document on its stdout, and its stderr."""
    out, err = process.communicate(timeout=150)
    return process.returncode, json.loads(out), err


def castlist(stack: RunningStack, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command to its end."""
    code, document, err = end(start(stack, *arguments))
    assert "Traceback" not in err, err
    return code, document


def test_a_folder_goes_in_and_its_people_come_out(stack: RunningStack, tmp_path: Path) -> None:
    """Submitted and watched to the end; shown as a table and as a sheet with a picture for every appearance."""
    gallery = new_gallery("client")
    for name in ("monday", "wednesday"):
        (tmp_path / f"{name}.mp4").symlink_to(clips.sample(name))
    (tmp_path / "notes.txt").write_text("not a video")

    code, submitted = castlist(stack, "submit", str(tmp_path), "--gallery", gallery, "--watch")
    assert code == 0
    assert submitted["left_out"] == [{"path": str(tmp_path / "notes.txt"), "reason": "text"}]
    assert [(Path(f["path"]).name, f["status"], f["task"]["people"]) for f in submitted["files"]] == [
        ("monday.mp4", "done", 2),
        ("wednesday.mp4", "done", 2),
    ]

    code, shown = castlist(stack, "people", "--gallery", gallery)
    assert code == 0
    assert sorted(len(person["appearances"]) for person in shown["people"]) == [1, 1, 2]
    video = submitted["files"][0]["video_id"]
    _, in_one = castlist(stack, "people", "--video", video)
    assert {a["video_id"] for person in in_one["people"] for a in person["appearances"]} == {video}

    code, sheet = castlist(stack, "sheet", str(tmp_path / "sheet.html"), "--gallery", gallery)
    assert (code, sheet["people"], sheet["crops"], sheet["crops_missing"]) == (0, 3, 4, 0)
    html = (tmp_path / "sheet.html").read_text("utf-8")
    assert html.count("<section") == 3
    assert html.count("data:image/jpeg;base64,/9j/") == 4


def test_people_are_put_right_and_found_from_the_command_line(stack: RunningStack, api: Api, tmp_path: Path) -> None:
    """Found by their own crop, named, merged, taken back, rejected, erased; each is in the history."""
    gallery = new_gallery("client")
    for day in ("monday", "wednesday"):
        castlist(stack, "submit", str(clips.sample(day)), "-g", gallery, "--watch")
    people = {person["id"]: person for person in api.profiles(gallery)}
    one, other, *_ = people
    crop = api.get(people[one]["appearances"][0]["crop"]["url"])
    (tmp_path / "face.jpg").write_bytes(crop.content)
    code, found = castlist(stack, "find", str(tmp_path / "face.jpg"), "-g", gallery)
    assert code == 0
    assert found["faces"][0]["matches"][0]["profile"]["id"] == one
    (named,) = castlist(stack, "name", one, "Ada")[1]["changes"]
    (merged,) = castlist(stack, "merge", one, other)[1]["changes"]
    (undone,) = castlist(stack, "undo", merged["id"])[1]["changes"]
    video = people[other]["appearances"][0]["video_id"]
    (rejected,) = castlist(stack, "not", other, video, "--no-face")[1]["changes"]
    (erased,) = castlist(stack, "erase", one, "--yes")[1]["changes"]
    assert erased["receipt"]["persons"] == people[one]["video_count"]
    _, told = castlist(stack, "history", "-g", gallery)
    assert [change["id"] for change in told["changes"]] == [
        change["id"] for change in (erased, rejected, undone, merged, named)
    ]
    assert castlist(stack, "undo", erased["id"])[0] == 1
    code, told = castlist(stack, "enrol", "Ada", str(tmp_path / "face.jpg"), "-g", gallery)
    assert (code, told["changes"][0]["status"], len(told["changes"][0]["profiles"])) == (0, "applied", 1)
    assert castlist(stack, "enrol", "Ada", str(clips.sample("monday")), "-g", gallery)[0] == 1
    (raised,) = castlist(stack, "objection", told["changes"][0]["profiles"][0], "-g", gallery, "--yes")[1]["changes"]
    assert raised["receipt"]["persons"] >= 1
    code, refused = castlist(stack, "enrol", "Ada", str(tmp_path / "face.jpg"), "-g", gallery)
    assert code == 1, refused
    _, listed = castlist(stack, "objections", "-g", gallery)
    assert [one["id"] for one in listed["objections"]] == [raised["id"]]
    (withdrawn,) = castlist(stack, "withdraw", raised["id"], "-g", gallery)[1]["changes"]
    assert withdrawn["status"] == "applied"
    assert castlist(stack, "name", "nobody", "No")[0] == 2


def test_a_gallery_is_made_tried_out_and_deleted_from_the_command_line(stack: RunningStack, api: Api) -> None:
    """With its settings, what others would make of it, a video that goes, and what is gone in the end."""
    gallery = new_gallery("client")
    assert castlist(stack, "create-gallery", gallery, "smallest_face=50")[1]["id"] == gallery
    assert castlist(stack, "create-gallery", gallery)[0] == 1
    assert castlist(stack, "settings", gallery)[1]["smallest_face"] == 50
    for day in ("monday", "tuesday"):
        castlist(stack, "submit", str(clips.sample(day)), "-g", gallery, "--watch")
    (tried,) = castlist(stack, "settings", gallery, "across_video_distance=0.99", "--dry-run")[1]["changes"]
    assert tried["detail"]["profiles"]["now"] == len(api.profiles(gallery)) > tried["detail"]["profiles"]["then"]
    assert tried["detail"]["merges"] > 0
    assert castlist(stack, "settings", gallery)[1]["across_video_distance"] == "auto"
    (changed,) = castlist(stack, "settings", gallery, 'retention={"videos": 3650}')[1]["changes"]
    assert (changed["kind"], changed["status"]) == ("change_settings", "applied")
    assert castlist(stack, "settings", gallery)[1]["retention"] == {"videos": 3650, "people": None}
    videos = {one["name"]: one["id"] for one in api.get("/videos", gallery=gallery).json()["items"]}
    (gone,) = castlist(stack, "delete-video", videos["monday.mp4"], "--erase", "--yes")[1]["changes"]
    assert (gone["receipt"]["videos"], gone["receipt"]["objects"]) == (1, 1)
    listed = {one["id"]: one for one in castlist(stack, "galleries")[1]["galleries"]}
    assert (listed[gallery]["videos"], listed[gallery]["settled"]) == (1, True)
    (deleted,) = castlist(stack, "delete-gallery", gallery, "--yes")[1]["changes"]
    assert deleted["receipt"]["videos"] == 1
    assert gallery not in {one["id"] for one in castlist(stack, "galleries")[1]["galleries"]}
    assert castlist(stack, "delete-gallery", gallery, "--yes")[0] == 2


@pytest.mark.parametrize("command", [("people",), ("sheet", "sheet.html")])
def test_a_gallery_that_does_not_exist_is_said_to_be_unknown(
    stack: RunningStack, tmp_path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 and its name, not a gallery without people."""
    monkeypatch.chdir(tmp_path)
    gallery = new_gallery("unknown")
    process = start(stack, *command, "--gallery", gallery)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"There is no gallery {gallery}" in out + err


def test_what_is_there_already_is_not_uploaded_again(stack: RunningStack, tmp_path: Path) -> None:
    """Proved by an ingest that is not there. `--again` does need it, and begins a new task on the same video."""
    gallery, clip = new_gallery("client"), str(clips.sample("tuesday"))
    _, first = castlist(stack, "submit", clip, "--gallery", gallery, "--watch")
    nowhere = ("--ingest", "http://127.0.0.1:9", "--patience", "0")
    code, second = castlist(stack, "submit", clip, "--gallery", gallery, *nowhere)
    assert (code, second["files"][0]["duplicate"]) == (0, True)
    assert second["files"][0]["task_id"] == first["files"][0]["task_id"]
    assert castlist(stack, "submit", clip, "--gallery", gallery, "--again", *nowhere)[0] == 3
    code, third = castlist(stack, "submit", clip, "--gallery", gallery, "--again", "--watch")
    assert (code, third["files"][0]["video_id"]) == (0, first["files"][0]["video_id"])
    assert third["files"][0]["task_id"] != first["files"][0]["task_id"]


def test_a_refused_file_does_not_hold_up_the_others(stack: RunningStack, tmp_path: Path) -> None:
    """It is reported with its reason, and the exit code says that something was wrong."""
    (tmp_path / "notes.txt").write_text("not a video")
    gallery = new_gallery("client")
    code, submitted = castlist(
        stack, "submit", str(tmp_path / "notes.txt"), str(clips.sample("tuesday")), "-g", gallery, "--watch"
    )
    assert code == 1
    assert [file["status"] for file in submitted["files"]] == ["refused", "done"]
    assert "Not a video" in submitted["files"][0]["error"]


def test_a_cancelled_task_has_its_own_exit_code(stack: RunningStack, api: Api) -> None:
    """For who watches it; cancelling what is cancelled is fine, what is done is refused, and unknown is wrong usage."""
    gallery = new_gallery("client")
    _, submitted = castlist(stack, "submit", str(clips.long(20)), "-g", gallery)
    task = submitted["files"][0]["task_id"]
    watching = start(stack, "watch", task)
    eventually(lambda: api.task(task)["status"] == "processing")
    assert castlist(stack, "cancel", task)[0] == 0
    code, watched, _ = end(watching)
    assert (code, watched["tasks"][0]["status"]) == (4, "cancelled")
    assert castlist(stack, "cancel", task)[0] == 0
    _, other = castlist(stack, "submit", str(clips.sample("tuesday")), "-g", gallery, "--watch")
    assert castlist(stack, "cancel", other["files"][0]["task_id"])[0] == 1
    assert castlist(stack, "watch", "no-such-task")[0] == 2


def test_ctrl_c_in_an_upload_leaves_nothing(stack: RunningStack, database: Database, tmp_path: Path) -> None:
    """Stopped while ingest is writing it: no video, no task, no record of an upload."""
    gallery = new_gallery("client")
    large = tmp_path / "large.mp4"
    large.write_bytes(clips.sample("monday").read_bytes())
    os.truncate(large, 1 << 30)
    before = {upload["_id"] for upload in database.uploads.find()}
    process = start(stack, "submit", str(large), "-g", gallery)
    mine = eventually(lambda: {upload["_id"] for upload in database.uploads.find()} - before)
    process.send_signal(signal.SIGINT)
    code, document, err = end(process)
    assert (code, document["interrupted"], document["files"][0]["status"]) == (130, True, "not submitted"), err
    eventually(lambda: database.uploads.count_documents({"_id": {"$in": list(mine)}}) == 0)
    assert database.videos.count_documents({"gallery": gallery}) == 0
    assert database.tasks.count_documents({"gallery": gallery}) == 0


@pytest.mark.parametrize("option", [(), ("--cancel-on-interrupt",)])
def test_ctrl_c_says_what_goes_on_or_cancels_it(
    stack: RunningStack, api: Api, database: Database, option: tuple[str, ...]
) -> None:
    """An accepted task is not ours to lose; it is named, and cancelled only where that was asked for."""
    gallery = new_gallery("client")
    process = start(stack, "submit", str(clips.minute()), "-g", gallery, "--watch", *option)
    task = eventually(lambda: database.tasks.find_one({"gallery": gallery, "status": "processing"}))["_id"]
    process.send_signal(signal.SIGINT)
    code, document, err = end(process)
    assert (code, document["interrupted"]) == (130, True)
    assert document["files"][0]["task_id"] == task
    if option:
        assert api.finished(task, patience=5)["status"] == "cancelled"
    else:
        assert f"castlist cancel {task}" in err
        assert api.task(task)["status"] in ("processing", "done")
        assert castlist(stack, "cancel", task)[0] in (0, 1)


@pytest.mark.faults
async def test_watching_outlasts_a_restart_of_query_api(stack: RunningStack) -> None:
    """Its stream breaks off in the middle of a task; the end is seen all the same, and progress never falls."""
    gallery = new_gallery("client")
    async with Client(stack.ingest_url, stack.query_url) as client:
        accepted = await client.submit(clips.minute(), gallery=gallery)
        states, killed = [], 0
        async for task in client.watch(accepted.task_id):
            states.append(task)
            if task.status == "processing" and not killed:
                killed = stack.kill("query-api")
        assert killed
        assert states[-1].status == "done"
        assert [state.progress for state in states] == sorted(state.progress for state in states)
        assert (await client.settled(gallery)).profiles == 2
    stack.wait_ready()
