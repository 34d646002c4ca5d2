"""HEIC files for tests, as the product cannot write them: one HEVC picture in the boxes of ISO/IEC 23008-12."""

import struct
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

_VPS, _SPS, _PPS = 32, 33, 34


def heic(picture: NDArray[np.uint8], turn: int = 0) -> bytes:
    """A file that shows `picture` (RGB, even sides) turned by `turn` × 90° counter-clockwise."""
    height, width = picture.shape[:2]
    configuration, coded = _coded(picture)
    properties = [
        _box("hvcC", configuration),
        _full("ispe", struct.pack(">II", width, height)),
        _box("irot", bytes([turn])),
    ]
    associations = struct.pack(">IHB", 1, 1, 3) + bytes([0x81, 0x02, 0x83])
    item = _full("infe", struct.pack(">HH4s", 1, 0, b"hvc1") + b"\0", version=2)

    def meta(offset: int) -> bytes:
        place = struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, offset, len(coded))
        return _full(
            "meta",
            _full("hdlr", struct.pack(">I4s12x", 0, b"pict") + b"\0")
            + _full("pitm", struct.pack(">H", 1))
            + _full("iloc", place)
            + _full("iinf", struct.pack(">H", 1) + item)
            + _box("iprp", _box("ipco", b"".join(properties)) + _full("ipma", associations)),
        )

    head = _box("ftyp", b"heic" + struct.pack(">I", 0) + b"mif1heic")
    return head + meta(len(head) + len(meta(0)) + 8) + _box("mdat", coded)


def _coded(picture: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """The decoder's configuration (`hvcC`), and the picture's NAL units with their lengths in front."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 1)
    encoder.options = {"x265-params": "log-level=none:crf=12:pools=none:frame-threads=1:annexb=1:repeat-headers=1"}
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    stream = b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
    units = [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1") if unit.strip(b"\0")]
    of_kind = {kind: [unit for unit in units if unit[0] >> 1 & 63 == kind] for kind in (_VPS, _SPS, _PPS)}
    # Profile, tier and level: twelve bytes behind the head of the SPS and its first byte.
    profile = of_kind[_SPS][0].replace(b"\0\0\3", b"\0\0")[3:15]
    configuration = b"\1" + profile + bytes([0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F, len(of_kind)])
    for kind, (unit, *_) in of_kind.items():
        configuration += struct.pack(">BHH", 0x80 | kind, 1, len(unit)) + unit
    slices = [unit for unit in units if unit[0] >> 1 & 63 < _VPS]
    return configuration, b"".join(struct.pack(">I", len(unit)) + unit for unit in slices)


def _box(kind: str, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind.encode()) + content


def _full(kind: str, content: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + content)
