"""How many pictures packets hold, told from their first bytes: to notice when fewer come out of a decoder."""

from collections.abc import Callable
from typing import Any

from castlist_vision.reading.nal_units import unit_positions

# Of what the packets hold so much must come out, or be left out on purpose.
_ENOUGH = 0.99
_FIELDS = 0.75


class PictureCount:
    """Of one decoder: told each packet that goes in and how many pictures came out, it knows how many were lost."""

    def __init__(self, stream: Any) -> None:
        codec = stream.codec_context.name
        self._hidden = _HIDDEN.get(codec)
        self._unneeded = _UNNEEDED.get(codec)
        self._prefix = _length_prefix(codec, stream.codec_context.extradata)
        self.held = 0
        self.left_out = 0
        self.decoded = 0
        self.interlaced = False

    def put_in(self, packet: Any, skipping: bool) -> None:
        """A packet whose picture is wanted; `skipping`: the decoder leaves out what no other picture needs."""
        head = memoryview(packet)
        if self._hidden is not None and self._hidden(head):
            return
        self.held += 1
        if skipping and self._unneeded is not None and self._unneeded(head, self._prefix):
            self.left_out += 1

    @property
    def lost(self) -> int:
        """How many are missing; 0 where it is less than one in a hundred."""
        out = self.decoded + self.left_out
        held = self.held
        if self.interlaced and out < _FIELDS * held:  # a packet a field
            held = (held + 1) // 2
        return held - out if out < _ENOUGH * held else 0


def _vp8_hidden(head: memoryview) -> bool:
    return len(head) > 0 and not head[0] & 0x10


def _vp9_hidden(head: memoryview) -> bool:
    """A frame alone that is not shown; those that are packed together end in one that is."""
    if len(head) < 2 or head[0] & 0x30 == 0x30:  # the profile that has another layout
        return False
    return bool(not head[0] & 0x0A and head[-1] & 0xE0 != 0xC0)


def _mpeg4_hidden(head: memoryview) -> bool:
    return len(head) <= 8  # stands for a picture that came in the packet before


def _h264_unneeded(head: memoryview, prefix: int) -> bool:
    for position in unit_positions(head, prefix):
        if head[position] & 0x1F in (1, 2, 5):
            return not head[position] & 0x60
    return False


def _hevc_unneeded(head: memoryview, prefix: int) -> bool:
    for position in unit_positions(head, prefix):
        kind = int(head[position]) >> 1 & 0x3F
        if kind < 32:
            return kind < 16 and kind % 2 == 0
    return False


def _mpeg2_unneeded(head: memoryview, _: int) -> bool:
    position = bytes(head).find(b"\x00\x00\x01\x00")
    return 0 <= position < len(head) - 5 and int(head[position + 5]) >> 3 & 7 == 3


def _mpeg4_unneeded(head: memoryview, _: int) -> bool:
    position = bytes(head).find(b"\x00\x00\x01\xb6")
    return 0 <= position < len(head) - 4 and head[position + 4] >> 6 == 2


_HIDDEN: dict[str, Callable[[memoryview], bool]] = {
    "libvpx": _vp8_hidden,
    "vp8": _vp8_hidden,
    "vp9": _vp9_hidden,
    "libvpx-vp9": _vp9_hidden,
    "mpeg4": _mpeg4_hidden,
}
_UNNEEDED: dict[str, Callable[[memoryview, int], bool]] = {
    "h264": _h264_unneeded,
    "hevc": _hevc_unneeded,
    "mpeg1video": _mpeg2_unneeded,
    "mpeg2video": _mpeg2_unneeded,
    "mpeg4": _mpeg4_unneeded,
}


def _length_prefix(codec: str, extradata: bytes | None) -> int:
    """Of how many bytes the length before each unit is; 0: start codes are between them."""
    if not extradata or extradata[0] != 1:
        return 0
    if codec == "h264" and len(extradata) > 4:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and len(extradata) > 21:
        return (extradata[21] & 3) + 1
    return 0
