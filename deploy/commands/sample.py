"""The sample: four short clips with a known answer, made from portraits that come with packages.

Three people. Each clip cuts between scenes, a scene pans and zooms slowly over one picture, or over two side by side.
"""

import hashlib
import math
import os
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.progress import Progress
from deploy.servers import fetch
from deploy.servers.lockfile import read_lock
from deploy.tools import tools_python

WIDTH, HEIGHT, RATE = 640, 480, 25
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """One picture shown. `focus`: its pixel in the middle of the view; `zoom`: output pixels per pixel of it."""

    person: str
    picture: str
    focus: tuple[int, int]
    zoom: float


@dataclass(frozen=True)
class Scene:
    """`shots` share the frame, from left to right, for `seconds`."""

    seconds: float
    shots: tuple[Shot, ...]


FACES, ASTRONAUT = "tests/test_images", "skimage/data/astronaut.png"
OBAMA = Shot("Obama", f"{FACES}/obama.jpg", (470, 350), 0.76)
OBAMA_2 = Shot("Obama", f"{FACES}/obama2.jpg", (310, 420), 1.12)
OBAMA_3 = Shot("Obama", f"{FACES}/obama3.jpg", (760, 530), 0.52)
BIDEN = Shot("Biden", f"{FACES}/biden.jpg", (520, 430), 0.74)
BIDEN_BESIDE = Shot("Biden", f"{FACES}/biden.jpg", (570, 590), 0.48)
COLLINS = Shot("Collins", ASTRONAUT, (215, 145), 1.8)
COLLINS_BESIDE = Shot("Collins", ASTRONAUT, (220, 160), 1.65)

CLIPS: dict[str, tuple[Scene, ...]] = {
    "monday.mp4": (Scene(3.4, (OBAMA,)), Scene(3.4, (BIDEN,))),
    "tuesday.mp4": (Scene(3.2, (COLLINS,)), Scene(3.2, (OBAMA_2,))),
    "wednesday.mp4": (Scene(6.4, (BIDEN_BESIDE, COLLINS_BESIDE)),),
    "thursday.mp4": (Scene(2.6, (OBAMA_3,)), Scene(2.6, (COLLINS,)), Scene(2.6, (BIDEN,))),
}


def expected() -> dict[str, set[str]]:
    """The right answer: each person's clips."""
    answer: dict[str, set[str]] = {}
    for name, scenes in CLIPS.items():
        for shot in (shot for scene in scenes for shot in scene.shots):
            answer.setdefault(shot.person, set()).add(name)
    return answer


def make_clips(cache: Path) -> list[Path]:
    """Paths of the clips, made where the cache does not hold them yet.

    Raises `DeployError`: the pictures cannot be fetched, or differ from the lock.
    """
    pictures = [read_lock().packages[key] for key in ("faces", "astronaut")]
    source = Path(__file__).read_bytes() + "".join(item.tree for item in pictures).encode()
    folder = cache / "sample" / hashlib.sha256(source).hexdigest()[:12]
    paths = [folder / name for name in CLIPS]
    if all(path.exists() for path in paths):
        return paths
    with fetch.cache_locked(cache):
        roots = [fetch.package(cache, partial(tools_python, cache), item) for item in pictures]
        folder.mkdir(parents=True, exist_ok=True)
        frames = round(sum(scene.seconds for scenes in CLIPS.values() for scene in scenes) * RATE)
        with Progress("sample clips", frames, f"{frames} frames") as bar:
            done = 0
            for path, scenes in zip(paths, CLIPS.values(), strict=True):
                partial_path = path.with_name(f".{path.name}")
                done = _write(partial_path, scenes, roots, bar, done)
                os.replace(partial_path, path)
    return paths


def _write(path: Path, scenes: tuple[Scene, ...], roots: list[Path], bar: Progress, done: int) -> int:
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("libx264", RATE, options={"crf": "20", "preset": "veryfast", "threads": "1"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        number = 0
        for scene in scenes:
            views = [_View(shot, roots, WIDTH // len(scene.shots)) for shot in scene.shots]
            count = round(scene.seconds * RATE)
            for step in range(count):
                image = np.hstack([view.at(step / count) for view in views])
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                container.mux(stream.encode(frame))
                number += 1
                done += 1
                bar.update(done)
        container.mux(stream.encode(None))
    return done


class _View:
    """A camera that drifts over one picture: `at(0…1)` is what it sees then."""

    def __init__(self, shot: Shot, roots: list[Path], width: int) -> None:
        path = next(root / shot.picture for root in roots if (root / shot.picture).exists())
        picture = cv2.imread(str(path))
        if picture is None:
            raise OSError(f"{path} is no picture")
        # Scaled down once with averaging; the camera's own movement is then near 1:1 and does not flicker.
        self._picture = cv2.resize(picture, None, fx=shot.zoom, fy=shot.zoom, interpolation=cv2.INTER_AREA)
        self._focus = (shot.focus[0] * shot.zoom, shot.focus[1] * shot.zoom)
        self._width = width

    def at(self, moment: float) -> Image:
        zoom = 1.02 + 0.08 * moment
        x = self._focus[0] + 10 * math.sin(math.tau * moment)
        y = self._focus[1] + 6 * math.cos(math.tau * moment) - 6
        matrix = np.array([[zoom, 0, self._width / 2 - zoom * x], [0, zoom, HEIGHT / 2 - zoom * y]])
        size = (self._width, HEIGHT)
        seen = cv2.warpAffine(self._picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.uint8)
