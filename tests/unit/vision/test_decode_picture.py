"""Decoding pictures: every format upright, and what is none, or too much, refused."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from castlist_vision.pictures.decode_picture import LOOKED_AT, decode_picture
from castlist_vision.pictures.picture_errors import (
    NotAPictureError,
    PictureError,
    PictureTooLargeError,
    UndecodablePictureError,
)
from testkit.heic import heic

WIDTH, HEIGHT = 192, 128
TURNED = {1: 0, 3: 2, 6: 1, 8: 3}
"""EXIF's orientation → quarter turns counter-clockwise that a camera held so makes of an upright scene."""
Pictures = Callable[[int, int, int], NDArray[np.uint8]]
Numbers = Callable[[NDArray[np.uint8]], int]


def written(picture: NDArray[np.uint8], form: str, orientation: int | None = None, **how: Any) -> bytes:
    """The picture as a file; its EXIF says `orientation`."""
    file = io.BytesIO()
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        how["exif"] = exif
    Image.fromarray(picture).save(file, form, **how)
    return file.getvalue()


def gray(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Its luma."""
    return np.asarray(Image.fromarray(colour).convert("L"))


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_exif_says(
    form: str, orientation: int, picture_of: Pictures, number_of: Numbers
) -> None:
    """A phone writes pixels as its sensor lies; what is shown is upright, and so are the sizes."""
    stored = np.ascontiguousarray(np.rot90(picture_of(37, WIDTH, HEIGHT), TURNED[orientation]))
    found = decode_picture(io.BytesIO(written(stored, form, orientation)))
    assert found.colour.shape == (HEIGHT, WIDTH, 3)
    assert (found.width, found.height, found.scale) == (WIDTH, HEIGHT, 1.0)
    assert number_of(gray(found.colour)) == 37


@pytest.mark.parametrize("orientation", [2, 4, 5, 7])
def test_a_mirrored_picture_is_mirrored_back(orientation: int, picture_of: Pictures, number_of: Numbers) -> None:
    """Cameras on the user's side may store what they show as in a mirror."""
    upright = Image.fromarray(picture_of(37, WIDTH, HEIGHT))
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        7: Image.Transpose.TRANSVERSE,
    }[orientation]
    found = decode_picture(io.BytesIO(written(np.asarray(upright.transpose(stored)), "JPEG", orientation)))
    assert number_of(gray(found.colour)) == 37


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_heic_is_turned_as_its_boxes_say(turn: int, picture_of: Pictures, number_of: Numbers) -> None:
    """An iPhone's pictures: HEVC in boxes, one of which turns."""
    stored = np.ascontiguousarray(np.rot90(picture_of(37, WIDTH, HEIGHT), -turn))
    found = decode_picture(io.BytesIO(heic(stored, turn)))
    assert (found.width, found.height) == (WIDTH, HEIGHT)
    assert number_of(gray(found.colour)) == 37


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "transparent"])
def test_colours_of_every_kind_become_rgb(mode: str) -> None:
    """Scans in grey, in sixteen bits, in a palette, in printer's ink; what is cut out lies on white."""
    grey = Image.new("L", (64, 64), 200)
    file = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(np.full((64, 64), 200 << 8, np.uint16)).save(file, "PNG")
    elif mode == "transparent":
        Image.new("RGBA", (64, 64), (10, 10, 10, 0)).save(file, "PNG")
    else:
        grey.convert("RGB").convert(mode).save(file, "JPEG" if mode == "CMYK" else "PNG")
    found = decode_picture(io.BytesIO(file.getvalue())).colour
    assert found.shape == (64, 64, 3)
    expected = 255 if mode == "transparent" else 200
    assert abs(float(found.mean()) - expected) < (60 if mode == "1" else 4)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_large_picture_is_scaled_down_and_says_so(form: str) -> None:
    """Faces need no more than some megapixels; the sizes are the file's own."""
    picture = np.zeros((3600, 4800, 3), np.uint8)
    picture[:1800, :2400] = 255
    found = decode_picture(io.BytesIO(written(picture, form)))
    assert (found.width, found.height) == (4800, 3600)
    high, wide = found.colour.shape[:2]
    assert high * wide <= LOOKED_AT * 1.001
    assert abs(wide * found.scale - 4800) < 1
    assert found.colour[high // 4, wide // 4].tolist() == [255, 255, 255]
    assert found.colour[3 * high // 4, 3 * wide // 4].tolist() == [0, 0, 0]


def claiming(width: int, height: int) -> bytes:
    """A PNG of so many pixels by what its head says; there are none in it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_a_hundred_megapixels_are_refused_by_their_claim() -> None:
    """Nothing is decoded: the file has a thousand bytes."""
    for width, height in [(10_000, 10_000), (60_000, 60_000), (1, 2**31 - 1)]:
        with pytest.raises(PictureTooLargeError, match="pixels"):
            decode_picture(io.BytesIO(claiming(width, height)))


def test_a_picture_that_is_cut_off_is_refused(picture_of: Pictures) -> None:
    """However much of it came: half a face is no basis for anything."""
    for form in ("JPEG", "PNG", "WEBP"):
        whole = written(picture_of(37, WIDTH, HEIGHT), form)
        for length in (len(whole) // 3, len(whole) * 2 // 3):
            with pytest.raises(UndecodablePictureError):
                decode_picture(io.BytesIO(whole[:length]))
    whole = heic(picture_of(37, WIDTH, HEIGHT))
    for length in (len(whole) // 3, len(whole) * 2 // 3):
        with pytest.raises(UndecodablePictureError):
            decode_picture(io.BytesIO(whole[:length]))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"%PDF-1.7",
        b"GIF89a" + bytes(100),
        b"\0\0\0\x18ftypmp42",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        bytes(1000),
    ],
)
def test_what_is_no_picture_is_said_to_be_none(content: bytes) -> None:
    """Text, documents, formats that are not read, nothing at all."""
    with pytest.raises(NotAPictureError, match="JPEG, PNG, WebP or HEIC"):
        decode_picture(io.BytesIO(content))


def test_damage_is_an_error_of_the_picture_and_no_other(picture_of: Pictures) -> None:
    """Whatever bytes are wrong: a picture comes out, or an error that says what is the matter."""
    chance = np.random.default_rng(1)
    outcomes = {True: 0, False: 0}
    for form in ("JPEG", "PNG", "WEBP", "HEIC"):
        picture = picture_of(37, WIDTH, HEIGHT)
        whole = heic(picture) if form == "HEIC" else written(picture, form, 6)
        for _ in range(40):
            damaged = bytearray(whole)
            for at in chance.integers(0, len(whole), 8):
                damaged[at] = int(chance.integers(256))
            try:
                decode_picture(io.BytesIO(bytes(damaged)))
                outcomes[True] += 1
            except PictureError:
                outcomes[False] += 1
    assert all(outcomes.values())
