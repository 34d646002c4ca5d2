"""Find and encode the faces of a picture, as those of a video are: distances of both mean the same."""

from dataclasses import dataclass

import av
import numpy as np

from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings, FrameSize, Sighting
from castlist.contract.vectors import VectorFace
from castlist_vision.faces.alignment import align
from castlist_vision.faces.auto_detector import make_detector
from castlist_vision.faces.best_faces import Face, cut_face, judged
from castlist_vision.faces.centerface import CenterFace
from castlist_vision.faces.detector import distinct
from castlist_vision.faces.encoder import Encoder, encode_faces
from castlist_vision.faces.face_crop import cut_crop
from castlist_vision.faces.face_tracking import reason_left_out
from castlist_vision.frames.frame import Frame
from castlist_vision.frames.geometry import Geometry
from castlist_vision.pictures.decode_picture import Picture

MOST_FACES = 100
"""Of more, the largest are taken."""


@dataclass(frozen=True, slots=True, eq=False)
class PictureFace:
    """A face in a picture. The box is in the picture's own pixels; `jpeg` is its crop.

    Its `score` is dlib's, which knows faces from in front; that of one turned away is NOT_SEEN.
    """

    face: VectorFace
    jpeg: bytes


def faces_in(
    picture: Picture, settings: AnalysisSettings, encoder: Encoder, centerface: CenterFace | None = None
) -> list[PictureFace]:
    """Every face in a picture, the largest first, each encoded. ModelUnavailableError where the settings ask for
    `auto` and there is no `centerface`."""
    detector = make_detector(settings, centerface)
    height, width = picture.colour.shape[:2]
    frame = Frame(0.0, av.VideoFrame.from_ndarray(picture.colour, format="rgb24"), Geometry(width, height, 0, 1.0))
    seen = detector.within(frame.gray, [Box(0, 0, width, height)])
    # Those that were seen are looked at more closely, as in a video they are from the second look on.
    closer = detector.near(frame.gray, [one.box for one in seen])
    smallest = detector.smallest(frame.gray)
    wanted = [one for one in distinct([*closer, *seen]) if reason_left_out(one.box, frame.gray.shape, smallest) is None]
    largest = sorted(wanted, key=lambda one: -one.box.area)[:MOST_FACES]
    faces = [cut_face(frame, Sighting(frame.time, one.box, one.score)) for one in largest]
    if detector.judge is not None:
        faces = [judged(face, detector.judge) for face in faces]
    faces.sort(key=lambda face: (-face.box.area, face.box.left, face.box.top))
    return [_encoded(face, encoder, picture.scale, FrameSize(picture.width, picture.height)) for face in faces]


def _encoded(face: Face, encoder: Encoder, scale: float, size: FrameSize) -> PictureFace:
    (encoding,) = encode_faces(encoder, [align(face.picture, face.in_picture)])
    box = face.box
    if scale != 1:
        whole = Box(*(round(side * scale) for side in (box.left, box.top, box.width, box.height)))
        box = whole.clipped((size.height, size.width))
    return PictureFace(VectorFace(face.time, box, face.score, face.quality, np.asarray(encoding)), cut_crop(face).jpeg)
