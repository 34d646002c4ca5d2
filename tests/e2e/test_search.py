"""Finding people by a picture in a running stack: what was found in videos, as it is now."""

import io
import os
import signal
import threading
import time

import httpx2
import psutil
import pytest
from PIL import Image

from testkit import clips
from testkit.api import Api, new_gallery
from testkit.eventually import eventually
from testkit.running_stack import RunningStack

pytestmark = pytest.mark.stack
_CHILD = "query_api.search.child_main"


def still(clip: str, number: int) -> bytes:
    """A frame of a sample clip, as a JPEG."""
    file = io.BytesIO()
    Image.fromarray(clips.frames(clip)[number]).save(file, "JPEG")
    return file.getvalue()


def search(api: Api, gallery: str, picture: bytes, **fields: str) -> httpx2.Response:
    """POST /search."""
    return api.http.post(f"{api.query}/search", data={"gallery": gallery, **fields}, files={"file": ("a.jpg", picture)})


def likely(answer: httpx2.Response) -> list[set[str]]:
    """The profiles that each face of the answer probably is."""
    assert answer.status_code == 200, answer.text
    return [
        {one["profile"]["id"] for one in face["matches"] if one["likeness"] > 0.5} for face in answer.json()["faces"]
    ]


def submit(api: Api, gallery: str, clip: str) -> str:
    """A clip of the sample, worked through; its video."""
    accepted = api.submit(clips.sample(clip), gallery)
    assert api.finished(accepted["task_id"])["status"] == "done"
    return str(accepted["video_id"])


def test_who_is_in_a_picture_is_found_as_the_gallery_is_now(api: Api) -> None:
    """Two people of one clip are found by a still of another; who is deleted between two searches is not."""
    gallery = new_gallery("search")
    picture = still("wednesday", 10)
    video = submit(api, gallery, "wednesday")
    one, other = likely(search(api, gallery, still("wednesday", 60)))
    assert len(one) == len(other) == 1
    assert one != other
    submit(api, gallery, "monday")
    assert {len(found) for found in likely(search(api, gallery, picture))} == {1}
    answer = api.http.delete(f"{api.query}/videos/{video}")
    assert answer.status_code in (200, 202), answer.text
    eventually(lambda: api.is_settled(gallery))
    there = {profile["id"] for profile in api.profiles(gallery)}
    found = search(api, gallery, picture, max_distance="10", limit="20")
    shown = {one["profile"]["id"] for face in found.json()["faces"] for one in face["matches"]}
    assert shown == there
    assert sorted(map(len, likely(found))) == [0, 1]  # one of the two is in the other clip as well


def test_bad_pictures_are_a_problem_each(api: Api) -> None:
    """Over real HTTP, where a client may still be sending when the answer comes."""
    gallery = new_gallery("search")
    submit(api, gallery, "monday")
    vast = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(vast, "PNG")
    for picture, status, kind in [
        (b"hello", 415, "not-a-picture"),
        (still("monday", 10)[:-3000], 422, "undecodable"),
        (vast.getvalue(), 413, "limits-exceeded"),
        (b"\xff\xd8\xff" + bytes(40 * 2**20), 413, "too-large"),
    ]:
        answer = search(api, gallery, picture)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/docs/problems#{kind}"), answer.text
    assert likely(search(api, gallery, still("monday", 10)))


def test_a_child_that_dies_costs_its_own_search_and_no_read(api: Api, stack: RunningStack) -> None:
    """query-api goes on in the same process, answers reads all the while, and the next search is answered."""
    gallery = new_gallery("search")
    submit(api, gallery, "wednesday")
    assert likely(search(api, gallery, still("wednesday", 10)))
    parent = psutil.Process(stack.pid("query-api"))
    (child,) = [one for one in parent.children() if _CHILD in one.cmdline()]
    answers: list[httpx2.Response] = []
    large = io.BytesIO()
    Image.new("RGB", (9_900, 9_900), "grey").save(large, "PNG")
    searching = threading.Thread(target=lambda: answers.append(search(api, gallery, large.getvalue())))
    before = child.cpu_times().user
    searching.start()
    eventually(lambda: child.cpu_times().user > before + 0.1)
    os.kill(child.pid, signal.SIGSTOP)
    began = time.monotonic()
    with httpx2.Client() as client:
        reads = [client.get(f"{api.query}/profiles", params={"gallery": gallery}).status_code for _ in range(20)]
    assert reads == [200] * 20
    assert time.monotonic() - began < 10
    os.kill(child.pid, signal.SIGKILL)
    searching.join(60)
    assert (answers[0].status_code, answers[0].json()["type"]) == (422, "/docs/problems#decoder-crashed")
    assert likely(search(api, gallery, still("wednesday", 10)))
    assert stack.pid("query-api") == parent.pid


def test_the_models_are_in_the_children_alone(api: Api, stack: RunningStack) -> None:
    """query-api itself loads none of what looks at pictures, whatever it was asked."""
    gallery = new_gallery("search")
    submit(api, gallery, "wednesday")
    assert likely(search(api, gallery, still("wednesday", 10)))
    maps = {one.path for one in psutil.Process(stack.pid("query-api")).memory_maps(grouped=True)}
    assert not [path for path in maps if any(name in path for name in ("dlib", "onnxruntime", "cv2", "pi_heif"))]
