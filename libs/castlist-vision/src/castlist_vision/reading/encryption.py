"""Signs that what is in a file is encrypted: it looks like a video, and nothing in it is a picture."""

import re
from pathlib import Path
from typing import Any

# The header objects of ASF that say how its content is encrypted, plainly or in the extended way.
_ASF_MARKS = (bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"), bytes.fromhex("14e68a292226174cb935dae07ee9289c"))
_LOOKED_AT = 1 << 20
_VIDEO_PES = re.compile(rb"\x00\x00\x01[\xe0-\xef]..(.)", re.DOTALL)
_MOST = 0.5
_FEW = 0.05


def is_encrypted(packet: Any) -> bool:
    """Whether a packet of MP4 (CENC) or Matroska says so."""
    return bool(packet.has_sidedata("encryption_info")) or "enc_key_id" in packet.stream.metadata


def looks_encrypted(path: Path, container: str) -> bool:
    """Whether the beginning of a file of a container that has its own mark for it bears that mark."""
    if container not in ("asf", "mpegts", "mpeg"):
        return False
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT)
    if container == "asf":
        return any(mark in head for mark in _ASF_MARKS)
    return _scrambled_packets(head) > _MOST if container == "mpegts" else _scrambled_sectors(head) > _FEW


def _scrambled_packets(head: bytes) -> float:
    """How many of the packets with a payload of a transport stream are scrambled, as by conditional access."""
    for size, ahead in ((188, 0), (192, 4), (204, 0)):
        marks = head[ahead::size], head[ahead + 1 :: size], head[ahead + 3 :: size]
        if marks[0] and marks[0].count(b"G") > 0.9 * len(marks[0]):
            filled = [flags for flags in marks[2] if flags & 0x10]
            return sum(flags & 0xC0 != 0 for flags in filled) / max(1, len(filled))
    return 0.0


def _scrambled_sectors(head: bytes) -> float:
    """How many of the video packets of a programme stream are scrambled, as on a DVD."""
    flags = [found[1][0] for found in _VIDEO_PES.finditer(head) if found[1][0] & 0xC0 == 0x80]
    return float(sum(flag & 0x30 != 0 for flag in flags) / max(1, len(flags)))
