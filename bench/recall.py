"""Which faces are found of those that are there, and who would be missed: for a second only, or with a small face.

    python bench/recall.py [--clips DIR [--labels FILE] [--faces 40] [--compared auto,hog,…]] [--detector auto]
                           [--cases 40] [--seed 1]

With labels, so many faces of the labelled people are shown to each detector and to the usual script, by width, turn,
light and compression (found_faces.py).

Then a head from the sample's portraits is laid over a clip in a random place, for one second from a random moment on,
or with a face box of 0.5 % of a 1080p frame. The clips are those of `--clips`, or the sample's. The measure is looking
at the whole of every sampled frame, at many times the cost: whoever is found that way must be found. The last line is
one JSON object: the shares of faces that were found, and [found, found by looking everywhere].
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import cv2
import found_faces
import numpy as np
from found_faces import finders, labelled_faces
from labelled import Labels, frame_of
from numpy.typing import NDArray
from stages import Models, load_models, settings_for, tracks, work

from castlist.contract.box import Box

# `deploy` is a package of the repository's root; clips are made by what the tests use.
sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from castlist.contract.values import AnalysisSettings
from castlist.service.settings import Settings
from castlist_identity.videos.video_people import PeopleSettings, people_of_video
from castlist_vision.faces import face_tracking
from castlist_vision.faces.detector import FaceDetector
from castlist_vision.frames.changed_regions import ChangedRegionFinder
from deploy.commands.sample import make_clips
from testkit.clips import write  # of the tests

RATE, SECONDS = 25, 4.0
FULL_HD = (1920, 1080)
HALF_PERCENT = 102
"""Pixels of the side of a box that is 0.5 % of a 1080p frame."""
TRIES = 4
"""Clips tried for each case: some have no room for another face."""
AS_UPLOADED = {"preset": "veryfast", "crf": "23"}
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Head:
    """A portrait and where its face is."""

    picture: Image
    face: Box

    def at(self, width: float) -> tuple[Image, NDArray[np.float32], Box]:
        """Scaled so that the face is `width` pixels wide: picture, opacity, and the face in it."""
        scale = width / self.face.width
        size = (round(self.picture.shape[1] * scale), round(self.picture.shape[0] * scale))
        picture = np.asarray(cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        face = Box(*(round(side * scale) for side in astuple(self.face)))
        shape = np.zeros(picture.shape[:2], np.float32)
        middle = (face.left + face.width // 2, face.top + round(0.4 * face.height))
        cv2.ellipse(shape, middle, (round(0.62 * face.width), round(0.85 * face.height)), 0, 0, 360, 1.0, -1)
        return picture, cv2.GaussianBlur(shape, (0, 0), max(1.0, width / 25)), face


@dataclass(frozen=True)
class Case:
    """A clip with a guest: frames, when the guest is there, and where their face is."""

    frames: Sequence[Image]
    start: float
    end: float
    face: Box


def frames_of(path: Path, size: tuple[int, int] | None = None) -> list[Image]:
    """The first seconds of a clip, RGB, at 25 a second, played again from the start where it is shorter."""
    with av.open(str(path)) as container:
        decoded = zip(range(round(RATE * SECONDS)), container.decode(video=0), strict=False)
        shown = [frame.to_ndarray(format="rgb24") for _, frame in decoded]
    if size is not None:
        shown = [np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8) for image in shown]
    return [shown[i % len(shown)] for i in range(round(RATE * SECONDS))]


def detected(image: Image) -> list[Box]:
    """All faces of a picture."""
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    whole = Box(0, 0, gray.shape[1], gray.shape[0])
    return [found.box for found in FaceDetector(AnalysisSettings()).within(gray, [whole]) if found.score > 0.3]


@cache
def heads(cache_folder: Path) -> list[Head]:
    """Three people from the sample: the first frames of two clips."""
    found = []
    for path in make_clips(cache_folder):
        if path.stem in ("monday", "tuesday"):
            images = frames_of(path)
            for image in (images[0], images[-5]):
                found += [Head(image, face) for face in detected(image)]
    return found


def with_guest(frames: Sequence[Image], head: Head, face: Box, start: float, seconds: float, light: float) -> Case:
    """Lay a head over some of the frames, so that its face is at `face`, `light` times as bright as it is."""
    picture, opacity, inside = head.at(face.width)
    left, top = face.left - inside.left, face.top - inside.top
    shown = [
        _laid(image, picture, opacity, left, top, light) if start <= i / RATE < start + seconds else image
        for i, image in enumerate(frames)
    ]
    return Case(shown, start, start + seconds, face)


def by_chance(path: Path, head: Head, chance: np.random.Generator, large: bool) -> Case | None:
    """A guest anywhere where no face is, for a second from any moment on; in a large frame small, for two.

    None where faces leave no room, as far as some hundred places show.
    """
    frames = frames_of(path, FULL_HD if large else None)
    height, width = frames[0].shape[:2]
    side = HALF_PERCENT if large else int(chance.integers(60, 110))
    start, light = float(chance.uniform(0.25, SECONDS - 2.3)), float(chance.uniform(0.75, 1.15))
    faces = [face.scaled(1.6) for image in frames[::10] for face in detected(image)]
    places = (
        Box(int(chance.integers(0, width - side)), int(chance.integers(side // 2, height - side)), side, side)
        for _ in range(1000)
    )
    free = next((place for place in places if not any(place.overlap(face) > 0 for face in faces)), None)
    return None if free is None else with_guest(frames, head, free, start, 2.0 if large else 1.0, light)


def _laid(image: Image, picture: Image, opacity: NDArray[np.float32], left: int, top: int, light: float) -> Image:
    """`picture` over `image`, with its corner at (left, top), as far as it is inside."""
    result = image.copy()
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(image.shape[0], top + picture.shape[0]), min(image.shape[1], left + picture.shape[1])
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    alpha = opacity[part][:, :, None]
    below = result[y0:y1, x0:x1]
    result[y0:y1, x0:x1] = np.clip(picture[part] * light * alpha + below * (1 - alpha), 0, 255).astype(np.uint8)
    return result


def finds(path: Path, case: Case, models: Models, settings: AnalysisSettings) -> bool:
    """Whether somebody is found where the guest is, while they are there."""
    there = tracks(work(path, models, settings)[1])
    found = people_of_video(there, PeopleSettings.of(settings, frame_of(there))).people
    return any(
        case.start <= place.time < case.end and place.box.overlap(case.face) > 0.25
        for person in found
        for place in person.places
    )


@contextmanager
def looking_everywhere() -> Iterator[None]:
    """Every sampled frame is looked at as a whole."""
    every, regions = face_tracking.NEWCOMERS_EVERY, ChangedRegionFinder.regions
    face_tracking.NEWCOMERS_EVERY = 0.0
    ChangedRegionFinder.regions = lambda self, gray, *_: [Box(0, 0, gray.shape[1], gray.shape[0])]  # type: ignore
    try:
        yield
    finally:
        face_tracking.NEWCOMERS_EVERY, ChangedRegionFinder.regions = every, regions  # type: ignore[method-assign]


def measure(
    clips: Sequence[Path], cases: int, seed: int, large: bool, models: Models, settings: AnalysisSettings, cache: Path
) -> tuple[int, int, int]:
    """How many guests are found, how many by looking everywhere, and of how many; who is missed is printed."""
    chance = np.random.default_rng(seed)
    ours, theirs, made = 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for clip in islice(cycle(clips), TRIES * cases):
            head = heads(cache)[int(chance.integers(len(heads(cache))))]
            case = by_chance(clip, head, chance, large)
            if case is None:
                continue
            path = write(Path(folder) / "case.mp4", list(case.frames), options=AS_UPLOADED)
            found = finds(path, case, models, settings)
            with looking_everywhere():
                could = finds(path, case, models, settings)
            ours, theirs, made = ours + found, theirs + could, made + 1
            if could and not found:
                print(f"    missed: {clip.name} from {case.start:.2f} s on, {case.face}", flush=True)
            if made == cases:
                break
    return ours, theirs, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--detector", choices=["auto", "hog", "cnn"], default="auto")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--faces", type=int, default=40)
    parser.add_argument("--compared", default="auto,hog,cnn,script", help="cnn takes nearly all of the time")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cache_folder = Settings().castlist_cache
    clips = sorted(p for p in args.clips.iterdir() if p.is_file()) if args.clips else make_clips(cache_folder)
    models, settings = load_models(cache_folder), settings_for(args.detector)
    results: dict[str, Any] = {}
    if args.clips and args.labels:
        faces = labelled_faces(args.clips, Labels.read(args.labels), models.centerface)
        chosen = np.random.default_rng(args.seed).permutation(len(faces))[: args.faces]
        by = {name: find for name, find in finders(models.centerface).items() if name in args.compared.split(",")}
        results["faces"] = found_faces.measure([faces[i] for i in chosen], by)
    for kind, large, cases in (
        ("one second", False, args.cases),
        ("0.5 % of a 1080p frame", True, max(1, args.cases // 4)),
    ):
        ours, theirs, made = measure(clips, cases, args.seed, large, models, settings, cache_folder)
        print(f"{kind:28} {ours} of {made} found, {theirs} by looking everywhere", flush=True)
        results[kind] = [ours, theirs]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
