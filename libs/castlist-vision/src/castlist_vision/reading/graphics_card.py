"""Decoding on a graphics card, by NVDEC: where there is one, for streams that suit it.

What it makes of a file that is damaged nobody has looked at: whatever goes wrong there is done again in software.
"""

import logging
from pathlib import Path
from typing import Any

from av.codec.hwaccel import HWAccel
from av.error import FFmpegError

from castlist.contract.values import Stretch
from castlist_vision.reading.media import open_media
from castlist_vision.reading.media_errors import NotAVideoError

_log = logging.getLogger(__name__)
_CODECS = {"h264", "hevc", "vp9", "av1"}
_PIXELS = {"yuv420p", "yuvj420p"}
_FEWEST_PIXELS = 640 * 480
"""Of a picture from which on it is known to be worth it."""
# Of NVIDIA's driver: on Linux, and in Windows' Linux.
_DEVICES = ("/dev/nvidiactl", "/dev/dxg")


class CardFailedError(Exception):
    """Something went wrong while a card decoded."""


class GraphicsCard:
    """The card of this process, if it has one that can be used."""

    def __init__(self) -> None:
        self._usable = any(Path(device).exists() for device in _DEVICES)

    def decoder_for(self, path: Path, stretch: Stretch | None) -> HWAccel | None:
        """What decodes this stream on the card; None where that is for software. Raises a MediaError as `open_media`.

        A card that cannot be used at all is not asked again; the log says why, once.
        """
        if not self._usable:
            return None
        with open_media(path, stretch) as media:
            try:
                picture = next(media.container.decode(media.stream), None)
            except FFmpegError:
                return None
            if media.unstamped or media.bare or picture is None or not suits(media.stream.codec_context.name, picture):
                return None
        accelerator = HWAccel("cuda", allow_software_fallback=True)
        try:
            with open_media(path, stretch, accelerator):
                return accelerator
        except NotAVideoError as error:  # it could be opened without a card
            self._usable = False
            _log.warning("graphics_card_unusable", extra={"reason": str(error.__cause__)})
            return None


def suits(codec: str, picture: Any) -> bool:
    """Whether a stream with this picture (an av.VideoFrame, decoded in software) is decoded on a card: progressive,
    upright, 8 bits, 4:2:0, and of a size that is worth it."""
    return (
        codec in _CODECS
        and picture.format.name in _PIXELS
        and not picture.interlaced_frame
        and "DISPLAYMATRIX" not in picture.side_data
        and picture.width * picture.height >= _FEWEST_PIXELS
    )
