"""What a child does: from a message to a message. Runs in a child only."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from castlist.children.messages import Job, JobMessage, JobRejectedError, Progress
from castlist.contract.values import FrameSize
from castlist_vision.faces.centerface import CenterFace, ModelUnavailableError, make_centerface
from castlist_vision.faces.encoder import make_encoder
from castlist_vision.pictures.decode_picture import decode_picture
from castlist_vision.pictures.picture_errors import PictureError
from castlist_vision.pictures.picture_faces import faces_in
from query_api.search.protocol import MOST_FACES, PictureJob, PictureResult, SeenFace


def picture(options: dict[str, Any]) -> tuple[JobMessage, Job]:
    """Looks at pictures: PictureJob → PictureResult."""
    cv2.setNumThreads(1)
    cache = Path(options["cache"])
    encoder, centerface = make_encoder("onnx", cache), _centerface(cache)

    def job(message: JobMessage, _: Progress) -> JobMessage:
        asked = PictureJob.model_validate(message)
        settings = asked.settings
        if settings.detector == "auto" and centerface is None:  # as videos are planned then
            settings = replace(settings, detector="hog")
        try:
            with open(asked.path, "rb") as file:
                picture = decode_picture(file)
                found = faces_in(picture, settings, encoder, centerface)[:MOST_FACES]
        except PictureError as error:
            raise JobRejectedError(error.code, str(error)) from error
        faces = [SeenFace(face=one.face.encoded(), jpeg=base64.b64encode(one.jpeg).decode("ascii")) for one in found]
        return PictureResult(faces=tuple(faces), frame=FrameSize(picture.width, picture.height)).message()

    return {"encoder": encoder.name}, job


def _centerface(cache: Path) -> CenterFace | None:
    try:
        return make_centerface(cache)
    except ModelUnavailableError:
        return None
