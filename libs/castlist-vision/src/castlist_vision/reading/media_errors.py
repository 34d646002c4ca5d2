"""Why a video cannot be worked through. `code` is part of the contract (`error.code` of a task)."""

from typing import ClassVar


class MediaError(Exception):
    """The video itself is the reason: trying again gives the same error. `str()` is a sentence for people."""

    code: ClassVar[str]


class NotAVideoError(MediaError):
    """No container that we read: text, a picture, random bytes, nothing at all."""

    code = "not_a_video"


class NoVideoStreamError(MediaError):
    """A container without moving pictures, such as a song (with or without its cover)."""

    code = "no_video_stream"


class LimitsExceededError(MediaError):
    """Larger or longer than we are willing to decode."""

    code = "limits_exceeded"


class UndecodableVideoError(MediaError):
    """A video by its container, but not one picture of it can be decoded."""

    code = "undecodable"


class EncryptedVideoError(MediaError):
    """A video whose pictures are encrypted."""

    code = "encrypted"
