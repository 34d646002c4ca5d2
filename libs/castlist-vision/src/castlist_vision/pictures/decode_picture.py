"""Decode a picture: JPEG, PNG, WebP or HEIC, upright, and no larger than faces need.

What a file claims of its size is looked at before anything is decoded. Decoding may take as much memory as that many
pixels do, and whatever a hostile file makes of a decoder: it belongs in a child process.
"""

import math
import warnings
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pi_heif
from PIL import Image, UnidentifiedImageError

from castlist.contract.values import in_short
from castlist_vision.frames.geometry import Colour
from castlist_vision.pictures.picture_errors import NotAPictureError, PictureTooLargeError, UndecodablePictureError

MOST_PIXELS = 100_000_000
"""A picture that claims as many, or more, is refused."""
LOOKED_AT = 12_000_000
"""Pixels to which larger pictures are scaled down: in a 4:3 picture the smallest face looked for is 111 wide then."""
_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)

pi_heif.register_heif_opener()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """RGB as somebody looks at it, upright. `width` and `height` are those of the file's own pixels, turned as well;
    `colour` has fewer where that is large."""

    colour: Colour
    width: int
    height: int

    @property
    def scale(self) -> float:
        """The file's pixels in one of `colour`, along a side."""
        return float(self.width / self.colour.shape[1])


def decode_picture(file: IO[bytes]) -> Picture:
    """The first picture in a file. NotAPictureError, PictureTooLargeError or UndecodablePictureError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is odd about a file: what we make of that is said by errors
        image = _opened(file)
        pixels = image.width * image.height
        if pixels >= MOST_PIXELS:
            raise PictureTooLargeError(f"The picture has {image.width} × {image.height} pixels: too many.")
        try:
            orientation = _orientation(image)
            width, height = image.size
            colour = np.asarray(_upright(_in_colour(image, min(1.0, math.sqrt(LOOKED_AT / pixels))), orientation))
        except Exception as error:  # decoders' errors have nothing in common
            raise UndecodablePictureError(f"The picture cannot be decoded: {in_short(str(error), 200)}") from None
    if orientation in _SIDEWAYS:
        width, height = height, width
    return Picture(np.ascontiguousarray(colour, np.uint8), width, height)


def _opened(file: IO[bytes]) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = None  # ours is checked instead, and as an error of ours
    try:
        return Image.open(file, formats=_FORMATS)
    except Exception as error:
        file.seek(0)
        head = file.read(12)
        if not head.startswith(_BEGINNINGS) and not pi_heif.is_supported(head):
            raise NotAPictureError("This is no JPEG, PNG, WebP or HEIC.") from None
        why = "its head is damaged" if isinstance(error, UnidentifiedImageError) else in_short(str(error), 200)
        raise UndecodablePictureError(f"The picture cannot be opened: {why}") from None


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # what is damaged in it must not cost us the picture
        return 1


def _in_colour(image: Image.Image, scale: float) -> Image.Image:
    """RGB, scaled; what is transparent on white."""
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if scale < 1:
        image.draft("RGB", size)  # a JPEG is decoded at the size that is wanted, or nearly
    image.load()
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    transparent = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    mode = "RGBA" if transparent else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    if transparent:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """Of a picture in one channel of 16 bits or more, the upper eight."""
    values: Any = np.asarray(image)
    return Image.fromarray((np.clip(values, 0, 65535).astype(np.uint16) >> 8).astype(np.uint8))


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
