"""Small files that cost much: a few kilobytes that claim, or unfold into, far more than a video is.

Each is written by hand, since no encoder would. They are played by what reads their format: none is damaged.
"""

import struct
import zlib

import cv2
import numpy as np

WIDTH, HEIGHT = 320, 240


def files() -> dict[str, bytes]:
    """All of them, by name."""
    return {
        "leap.mkv": leap_in_matroska(),
        "samples.mp4": many_samples(),
        "vast.gif": vast_gif(),
        "growing.avi": growing_pictures(),
    }


def leap_in_matroska(ticks: int = 10**12) -> bytes:
    """Three pictures in Matroska, one tick a second: the clock begins so late, and falls back to nought."""
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska") + _element(0x4287, b"\4") + _element(0x4285, b"\2"))
    info = _element(0x1549A966, _element(0x2AD7B1, _number(10**9)))
    size = _element(0xE0, _element(0xB0, _number(WIDTH)) + _element(0xBA, _number(HEIGHT)))
    kind = _element(0xD7, b"\1") + _element(0x73C5, b"\1") + _element(0x83, b"\1") + _element(0x86, b"V_MJPEG")
    tracks = _element(0x1654AE6B, _element(0xAE, kind + size))
    block = _element(0xA0, _element(0xA1, b"\x81\0\0\0" + _picture()))
    clusters = b"".join(_element(0x1F43B675, _element(0xE7, _number(at)) + block) for at in (ticks, 0, 100))
    return head + _element(0x18538067, info + tracks + clusters)


def many_samples(samples: int = 20_000_000) -> bytes:
    """An MP4 whose tables name so many pictures of one byte each: all of them lie in the same 64 KiB."""
    together = 65_000
    chunks = -(-samples // together)
    ftyp = _box(b"ftyp", b"isom" + struct.pack(">I", 512) + b"isommp41")
    entry = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", WIDTH, HEIGHT)
    entry += struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32) + struct.pack(">Hh", 24, -1)
    count = chunks * together

    def moov(offset: int) -> bytes:
        stbl = (
            _full(b"stsd", struct.pack(">I", 1) + _box(b"jpeg", entry))
            + _full(b"stts", struct.pack(">III", 1, count, 1))
            + _full(b"stsc", struct.pack(">IIII", 1, 1, together, 1))
            + _full(b"stsz", struct.pack(">II", 1, count))
            + _full(b"stco", struct.pack(">I", chunks) + struct.pack(">I", offset) * chunks)
        )
        dinf = _box(b"dinf", _full(b"dref", struct.pack(">I", 1) + _full(b"url ", b"", flags=1)))
        minf = _box(b"minf", _full(b"vmhd", bytes(8), flags=1) + dinf + _box(b"stbl", stbl))
        mdhd = _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, count, 0x55C4, 0))
        hdlr = _full(b"hdlr", bytes(4) + b"vide" + bytes(12) + b"\0")
        tkhd = _full(b"tkhd", struct.pack(">IIIII", 0, 0, 1, 0, count) + bytes(16) + _MATRIX, flags=7)
        tkhd = tkhd + struct.pack(">II", WIDTH << 16, HEIGHT << 16)
        tkhd = struct.pack(">I", len(tkhd)) + tkhd[4:]
        mvhd = struct.pack(">IIII", 0, 0, 1000, count) + struct.pack(">IH", 0x10000, 0x100) + bytes(10) + _MATRIX
        trak = _box(b"trak", tkhd + _box(b"mdia", mdhd + hdlr + minf))
        return _box(b"moov", _full(b"mvhd", mvhd + bytes(24) + struct.pack(">I", 2)) + trak)

    return ftyp + moov(len(ftyp) + len(moov(0)) + 8) + _box(b"mdat", bytes(together))


def vast_gif(width: int = 8192, height: int = 4352, pictures: int = 100) -> bytes:
    """An animation that size, of which each picture changes one point."""
    # 2 bits a colour: a code to begin with, the colour 0, and the code that ends, three bits each.
    point = struct.pack("<BBHB", 2, 2, 4 | 0 << 3 | 5 << 6, 0)
    shown = b"".join(
        b"\x21\xf9\x04" + struct.pack("<BHBB", 0, 20, 0, 0) + b"," + struct.pack("<HHHHB", n, 0, 1, 1, 0) + point
        for n in range(pictures)
    )
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + b"\0\0\0\xff\xff\xff" + shown + b";"


def growing_pictures(side: int = 16_000, pictures: int = 10) -> bytes:
    """An AVI that says 320x240, and after two pictures of that size has others of `side` in the square."""
    small, large = _png(WIDTH, HEIGHT), _png(side, side)
    frames = [small, small, *[large] * (pictures - 2)]
    avih = struct.pack("<14I", 1_000_000, 0, 0, 16, pictures, 0, 1, 0, WIDTH, HEIGHT, 0, 0, 0, 0)
    strh = (
        b"vidsMPNG" + struct.pack("<10I", 0, 0, 0, 1, 1, 0, pictures, 0, 0, 0) + struct.pack("<4H", 0, 0, WIDTH, HEIGHT)
    )
    strf = struct.pack("<IIIHH", 40, WIDTH, HEIGHT, 1, 24) + b"MPNG" + bytes(20)
    strl = _list(b"strl", _chunk(b"strh", strh) + _chunk(b"strf", strf))
    movi = _list(b"movi", b"".join(_chunk(b"00dc", frame) for frame in frames))
    body = b"AVI " + _list(b"hdrl", _chunk(b"avih", avih) + strl) + movi
    return _chunk(b"RIFF", body)


_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _picture() -> bytes:
    coded, jpeg = cv2.imencode(".jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert coded
    return jpeg.tobytes()


def _png(width: int, height: int) -> bytes:
    """All black, one bit a point."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    lines = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", lines) + part(b"IEND", b"")


def _element(name: int, body: bytes) -> bytes:
    """Of Matroska: the length always in eight bytes."""
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (len(body) | 1 << 56).to_bytes(8, "big") + body


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def _full(name: bytes, body: bytes, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", flags) + body)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _list(name: bytes, body: bytes) -> bytes:
    return _chunk(b"LIST", name + body)
