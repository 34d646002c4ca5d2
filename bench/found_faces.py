"""Which faces a detector finds in pictures whose people are known: by width, turn, light and compression.

A face is a labelled person in one frame of their clip. Where in the person's part of the frame it is, how wide and how
far turned, CenterFace says, which is shown that part alone, as large as it is there; a face that is not seen even so
counts where nothing of this has to be known. It is found if the middle of a detection lies in its box.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import face_recognition
import numpy as np
from labelled import Labels
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist.contract.values import NEW_GALLERY, AnalysisSettings
from castlist_vision.faces.auto_detector import make_detector
from castlist_vision.faces.centerface import SIDES, CenterFace

WIDTHS = (22, 30, 40, 50, 64, 100, 200)
AS_WIDE = 80.0
"""The width at which everything else is measured."""
LIGHTS = (1.0, 0.5, 0.25)
QUALITIES = (90, 30, 10)
"""JPEG's, the best first."""
TILTS = (30, 60, 90)
FRONTAL, THREE_QUARTER = 0.2, 0.5
"""How far the nose lies beside the middle between the eyes, in distances between the eyes, up to which a face is so."""
_AROUND = 3.0
EVERY = 0.8
SECONDS = 4.0

Image = NDArray[np.uint8]
Finder = Callable[[Image, int], Sequence[Box]]
"""Finds faces from so many pixels on in RGB."""


@dataclass(frozen=True)
class Face:
    """`place`: where in the picture the face is, or the person where `width` and `turn` are None: nobody could say."""

    picture: Image
    place: Box
    width: float | None
    turn: str | None

    def at(self, width: float) -> "Face":
        """With the picture scaled so that the face is so wide."""
        assert self.width is not None
        scale = width / self.width
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(self.picture, None, fx=scale, fy=scale, interpolation=how), np.uint8)
        place = Box(*(round(side * scale) for side in astuple(self.place)))
        return Face(picture, place, width, self.turn)

    def changed(self, change: Callable[[Image], Image]) -> "Face":
        """With another picture of the same."""
        return replace(self, picture=change(self.picture))


def labelled_faces(clips: Path, labels: Labels, network: CenterFace) -> list[Face]:
    """Of each clip, everybody in a frame every 0.8 s of its first four."""
    return [
        _classified(image, place, network)
        for path in sorted(clips.iterdir())
        for time, image in _frames(path)
        for place in labels.places(path.name, time, image.shape[1], image.shape[0])
    ]


def _frames(path: Path) -> Iterator[tuple[float, Image]]:
    following = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            time = float(frame.time or 0.0)
            if time > SECONDS:
                break
            if time >= following:
                following = time + EVERY
                yield time, frame.to_ndarray(format="rgb24")


def _classified(image: Image, place: Box, network: CenterFace) -> Face:
    part = image[place.top : place.bottom, place.left : place.right]
    gray = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    padded = cv2.copyMakeBorder(gray, 0, -gray.shape[0] % SIDES, 0, -gray.shape[1] % SIDES, cv2.BORDER_CONSTANT)
    found = network.find(np.asarray(padded, np.uint8)[None])[0]
    best = max(found, key=lambda one: one.score, default=None)
    if best is None:
        return Face(image, place, None, None)
    left, right, nose = best.landmarks[:3]
    apart = right - left
    beside = abs(float((nose - (left + right) / 2) @ apart)) / max(1e-6, float(apart @ apart))
    turn = "frontal" if beside <= FRONTAL else "three-quarter" if beside <= THREE_QUARTER else "profile"
    corner = round(place.left + best.x - best.width / 2), round(place.top + best.y - best.height / 2)
    return Face(image, Box(*corner, round(best.width), round(best.height)), best.width, turn)


def finders(network: CenterFace) -> dict[str, Finder]:
    """By name: ours, and the usual script's, which takes no size."""

    def ours(name: Any) -> Finder:
        def find(image: Image, smallest: int) -> Sequence[Box]:
            detector = make_detector(AnalysisSettings(detector=name, smallest_face=smallest), network)
            gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
            return [found.box for found in detector.within(gray, [Box(0, 0, gray.shape[1], gray.shape[0])])]

        return find

    def script(image: Image, smallest: int) -> Sequence[Box]:
        found = face_recognition.face_locations(np.ascontiguousarray(image))
        return [Box(left, top, right - left, bottom - top) for top, right, bottom, left in found]

    return {"auto": ours("auto"), "hog": ours("hog"), "cnn": ours("cnn"), "script": script}


def is_found(face: Face, find: Finder) -> bool:
    """Whether a detection's middle lies where the face is. Asked for are faces as a new gallery asks for them, and
    smaller ones where the face is smaller: from nine tenths of its width on."""
    smallest = max(20, min(NEW_GALLERY.smallest_face, int(0.9 * (face.width or AS_WIDE))))
    return any(
        face.place.left <= box.left + box.width / 2 < face.place.right
        and face.place.top <= box.top + box.height / 2 < face.place.bottom
        for box in find(face.picture, smallest)
    )


def conditions(faces: Sequence[Face]) -> Iterator[tuple[str, list[Face]]]:
    """What is measured: the faces as they are under each condition, all else being as in the clip."""
    yield "all, as they are", list(faces)
    known = [face for face in faces if face.width is not None]
    for width in WIDTHS:
        yield f"{width} pixels wide", [face.at(width) for face in known]
    scaled = [face.at(AS_WIDE) for face in known]
    for turn in ("frontal", "three-quarter", "profile"):
        yield turn, [face for face in scaled if face.turn == turn]
    for degrees in TILTS:
        yield f"tilted by {degrees}°", [_tilted(face, degrees) for face in scaled]
    for light in LIGHTS[1:]:
        yield f"{light} of the light", [face.changed(partial(_darkened, light)) for face in scaled]
    for quality in QUALITIES:
        yield (
            f"JPEG quality {quality}",
            [face.changed(partial(_compressed, quality)) for face in scaled],
        )


def _tilted(face: Face, degrees: int) -> Face:
    """The face with what is around it, turned around its middle."""
    place = face.place.scaled(_AROUND).clipped(face.picture.shape)
    part = face.picture[place.top : place.bottom, place.left : place.right]
    height, width = part.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    size = round(width * cos + height * sin), round(width * sin + height * cos)
    turn[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return Face(np.asarray(cv2.warpAffine(part, turn, size), np.uint8), Box(0, 0, *size), face.width, face.turn)


def _darkened(light: float, image: Image) -> Image:
    return (image * light).astype(np.uint8)


def _compressed(quality: int, image: Image) -> Image:
    _, jpeg = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1])


def measure(faces: Sequence[Face], by: Mapping[str, Finder]) -> dict[str, dict[str, float]]:
    """The share that each finds under each condition; it is printed as it comes."""
    print(f"{'faces found':28}{'of':>6}" + "".join(f"{name:>10}" for name in by), flush=True)
    shares: dict[str, dict[str, float]] = {}
    for condition, shown in conditions(faces):
        if not shown:
            continue
        found = {name: sum(is_found(face, find) for face in shown) / len(shown) for name, find in by.items()}
        print(f"{condition:28}{len(shown):6}" + "".join(f"{share:10.1%}" for share in found.values()), flush=True)
        shares[condition] = {"of": len(shown), **{name: round(share, 4) for name, share in found.items()}}
    return shares
