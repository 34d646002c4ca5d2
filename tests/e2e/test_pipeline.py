"""The whole way on clips whose answer is known."""

import concurrent.futures
import time
from itertools import accumulate

import pytest

from deploy.commands.sample import CLIPS, expected
from testkit import clips
from testkit.api import Api, new_gallery

pytestmark = pytest.mark.stack


def test_each_person_of_the_sample_is_found_once_in_the_clips_they_are_in(api: Api) -> None:
    """All clips at once: three people, each in exactly their clips, and no one beyond the cut that ends their scene."""
    gallery = new_gallery("sample")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        submitted = list(pool.map(lambda name: api.submit(clips.sample(name.removesuffix(".mp4")), gallery), CLIPS))
    for one in submitted:
        task = api.finished(one["task_id"])
        assert (task["status"], task["error"], task["progress"]) == ("done", None, 1.0)
    found = sorted(sorted(a["video_name"] for a in profile["appearances"]) for profile in api.profiles(gallery))
    assert found == sorted(sorted(names) for names in expected().values())
    for profile in api.profiles(gallery):
        for appearance in profile["appearances"]:
            crop = appearance["crop"]
            assert any(s["start"] - 0.05 <= crop["time"] <= s["end"] + 0.05 for s in appearance["segments"])
            for cut in accumulate(scene.seconds for scene in CLIPS[appearance["video_name"]]):
                assert not any(s["start"] < cut - 0.05 and s["end"] > cut - 0.05 for s in appearance["segments"])
            assert crop["box"]["left"] + crop["box"]["width"] <= crop["frame"]["width"] == 640
            assert crop["box"]["top"] + crop["box"]["height"] <= crop["frame"]["height"] == 480


def test_eight_uploads_of_the_same_two_people_at_once_are_two_profiles(
    api: Api, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Different files, same people, finished together."""
    folder, gallery = tmp_path_factory.mktemp("eight"), new_gallery("eight")
    paths = [clips.write(folder / f"{i}.mp4", clips.two_people(0.8 + 0.08 * i)) for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        submitted = list(pool.map(lambda path: api.submit(path, gallery), paths))
    assert [api.finished(one["task_id"])["status"] for one in submitted] == ["done"] * 8
    assert sorted(len(profile["appearances"]) for profile in api.profiles(gallery)) == [8, 8]


def test_the_same_bytes_are_one_video(api: Api) -> None:
    """Uploaded again: 200, the same video and task, nothing new."""
    gallery = new_gallery("same")
    first = api.submit(clips.sample("monday"), gallery)
    again = api.upload(clips.sample("monday"), gallery, name="another name.mp4")
    assert again.status_code == 200
    assert again.json()["duplicate"] is True
    assert (again.json()["video_id"], again.json()["task_id"]) == (first["video_id"], first["task_id"])
    api.finished(first["task_id"])


def test_a_cancelled_task_stops_and_leaves_nothing(api: Api) -> None:
    """Cancelled in the middle of its chunks: no profile, no crop, and it stays cancelled."""
    gallery = new_gallery("cancel")
    submitted = api.submit(clips.minute(), gallery)
    api.running(submitted["task_id"])
    answer = api.http.post(f"{api.ingest}/tasks/{submitted['task_id']}/cancel")
    assert answer.status_code == 202, answer.text
    assert api.finished(submitted["task_id"], patience=3)["status"] == "cancelled"
    assert api.http.post(f"{api.ingest}/tasks/{submitted['task_id']}/cancel").status_code == 202
    other = api.submit(clips.sample("tuesday"), gallery)
    api.finished(other["task_id"])
    assert {a["video_id"] for p in api.profiles(gallery) for a in p["appearances"]} == {other["video_id"]}
    assert api.task(submitted["task_id"])["status"] == "cancelled"


@pytest.mark.slow
def test_a_short_clip_does_not_wait_behind_a_long_video(api: Api) -> None:
    """While a video of many chunks runs, a short one is done long before it."""
    gallery = new_gallery("fair")
    long = api.submit(clips.long(20), gallery)
    api.running(long["task_id"])
    started = time.monotonic()
    short = api.submit(clips.sample("tuesday"), gallery)
    assert api.finished(short["task_id"])["status"] == "done"
    waited = time.monotonic() - started
    left = api.task(long["task_id"])
    assert left["status"] == "processing", f"the long one was over after {waited:.1f} s"
    assert left["chunks_planned"] - left["chunks_done"] > 10
    api.http.post(f"{api.ingest}/tasks/{long['task_id']}/cancel")
