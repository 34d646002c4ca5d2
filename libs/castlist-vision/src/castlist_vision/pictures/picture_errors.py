"""Why a picture cannot be looked at. `code` is part of the contract, and `str()` a sentence for people."""

from typing import ClassVar


class PictureError(Exception):
    """The picture itself is the reason: trying again gives the same error."""

    code: ClassVar[str]


class NotAPictureError(PictureError):
    """None of the formats that are read."""

    code = "not_a_picture"


class PictureTooLargeError(PictureError):
    """More pixels than we are willing to decode."""

    code = "limits_exceeded"


class UndecodablePictureError(PictureError):
    """A picture by its first bytes that cannot be decoded: cut off, or damaged."""

    code = "undecodable"
