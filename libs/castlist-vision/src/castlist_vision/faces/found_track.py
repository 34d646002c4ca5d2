"""A face that was followed through a chunk, and the two halves of one that was taken for two."""

from dataclasses import dataclass

import numpy as np

from castlist.contract.values import Sighting
from castlist.contract.vectors import Vector, VectorFace
from castlist_vision.faces.best_faces import MOST
from castlist_vision.faces.face_crop import FaceCrop

_ONE = 0.55
"""Euclidean distance of two means. Strangers' are as near in half a per cent of pairs; halves of one face, of somebody
who turns and sings under all kinds of compression, were at 0.38 to 0.56."""


@dataclass(frozen=True, slots=True)
class FoundTrack:
    """A face followed through the chunk. Boxes are clipped to the frame, in pixels; times in seconds of the video."""

    index: int
    sightings: tuple[Sighting, ...]
    faces: tuple[VectorFace, ...]
    crop: FaceCrop


def are_one(before: FoundTrack, after: FoundTrack) -> bool:
    """Whether a track that was parted was so wrongly: a single look decided then, now each half has its best faces."""
    return bool(np.linalg.norm(_mean(before) - _mean(after)) <= _ONE)


def joined(before: FoundTrack, after: FoundTrack) -> FoundTrack:
    """Both as one, under the number of the later."""
    best = sorted((*before.faces, *after.faces), key=lambda face: (-face.quality, face.time))[:MOST]
    return FoundTrack(
        after.index,
        before.sightings + after.sightings,
        tuple(sorted(best, key=lambda face: face.time)),
        max(before.crop, after.crop, key=lambda crop: (crop.quality, -crop.time)),
    )


def _mean(track: FoundTrack) -> Vector:
    mean: Vector = np.mean([face.encoding for face in track.faces], axis=0)
    return mean
