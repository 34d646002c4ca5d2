"""Every format that is promised: upload it, and its two people come out."""

from pathlib import Path

import pytest

from testkit import clips
from testkit.api import Api, new_gallery
from testkit.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.slow]

FORMATS = [
    ("libx264", ".mp4", "yuv420p", {}),
    ("libx264", ".mov", "yuv420p", {}),
    ("libx264", ".mkv", "yuv420p", {}),
    ("libx264", ".ts", "yuv420p", {}),
    ("libx264", ".flv", "yuv420p", {}),
    ("libx264", ".mp4", "yuv420p10le", {"profile": "high10"}),
    ("libx265", ".mp4", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=error"}),
    ("libvpx", ".webm", "yuv420p", {"deadline": "realtime", "cpu-used": "8", "b": "2M"}),
    ("libvpx-vp9", ".webm", "yuv420p", {"deadline": "realtime", "cpu-used": "8", "b": "2M"}),
    ("libsvtav1", ".mp4", "yuv420p", {"preset": "12"}),
    ("mpeg2video", ".ts", "yuv420p", {"b": "6M"}),
    ("mpeg2video", ".mkv", "yuv420p", {"b": "6M"}),
    ("mpeg4", ".avi", "yuv420p", {"b": "4M"}),
    ("mjpeg", ".avi", "yuvj420p", {}),
    ("mjpeg", ".mov", "yuvj420p", {}),
    ("gif", ".gif", "rgb8", {}),
    ("libx264", ".h264", "yuv420p", {}),
    ("libx265", ".hevc", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=error"}),
    ("libvpx", ".ivf", "yuv420p", {"deadline": "realtime", "cpu-used": "8", "b": "2M"}),
    ("rv20", ".rm", "yuv420p", {"b": "4M"}),
]


@pytest.mark.parametrize(("codec", "suffix", "pix_fmt", "options"), FORMATS)
def test_the_people_of_a_format_come_out(
    stack: RunningStack, codec: str, suffix: str, pix_fmt: str, options: dict[str, str]
) -> None:
    """Two people, in their own halves of the clip, with a crop each."""
    api, gallery = Api(stack), new_gallery("format")
    path: Path = clips.clip(codec, suffix, pix_fmt, **options)
    task = api.finished(api.submit(path, gallery)["task_id"])
    assert (task["status"], task["people"], task["error"]) == ("done", 2, None)
    first, second = sorted((p["appearances"][0] for p in api.profiles(gallery)), key=lambda a: a["first_seen"])
    assert 0 <= first["first_seen"] < 0.4
    assert first["last_seen"] < second["first_seen"] + 0.05
    assert 1.0 < second["first_seen"] < 1.7
    video = api.get(f"/videos/{first['video_id']}").json()
    assert (video["width"], video["height"]) == (640, 480)
    assert video["duration"] == pytest.approx(2.4, abs=0.25)
    for found in (first, second):
        picture = api.get(found["crop"]["url"])
        assert picture.headers["content-type"] == "image/jpeg"
        assert picture.content[:2] == b"\xff\xd8"
