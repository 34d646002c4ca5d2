"""The picture of a face that people look at."""

from dataclasses import dataclass

import cv2
import numpy as np

from castlist.contract.box import Box
from castlist.contract.values import FrameSize
from castlist_vision.faces.best_faces import Face

_MARGIN = 1.6
_LARGEST = 512
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """A JPEG with some margin around the face; `box` is where the face lies in its frame, clipped to that."""

    jpeg: bytes
    time: float
    box: Box
    frame: FrameSize
    quality: float


def cut_crop(face: Face) -> FaceCrop:
    """Cut a face out of its own frame, scaled down to 512 pixels at most."""
    part = face.box.scaled(_MARGIN).clipped((face.frame.height, face.frame.width))
    left, top = max(0, part.left - face.area.left), max(0, part.top - face.area.top)
    picture = face.picture[top : top + part.height, left : left + part.width]
    scale = _LARGEST / max(picture.shape[:2])
    if scale < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    done, jpeg = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise RuntimeError("a crop could not be written as JPEG")
    return FaceCrop(jpeg.tobytes(), face.time, face.box, face.frame, face.quality)
