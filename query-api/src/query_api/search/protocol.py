"""What the children that look at pictures are told and say. The parent checks what comes back against these."""

from typing import Annotated

from pydantic import Field

from castlist.children.messages import JobModel
from castlist.contract.values import AnalysisSettings, EncodedFace, FrameSize

MOST_FACES = 100
"""Of a picture with more the largest are taken."""
_LARGEST_CROP = 2**20
"""Characters of base64; a crop has 512 pixels along its longer side."""


class PictureJob(JobModel):
    """Find the faces of the picture in the file at `path`, as a gallery's videos are looked through."""

    path: str
    settings: AnalysisSettings


class SeenFace(JobModel):
    """A face, its box in pixels of the upright picture, and its crop, a JPEG in base64."""

    face: EncodedFace
    jpeg: Annotated[str, Field(max_length=_LARGEST_CROP)]


class PictureResult(JobModel):
    """The faces of a picture, the largest first, and its size."""

    faces: Annotated[tuple[SeenFace, ...], Field(max_length=MOST_FACES)]
    frame: FrameSize
