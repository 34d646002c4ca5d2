"""What the first bytes of a file give away: one recogniser for each way in which a format can be told."""

import re
from collections.abc import Callable, Iterator
from itertools import islice

Recogniser = Callable[[bytes], bool]

_H263_PICTURE = re.compile(rb"\x00\x00[\x80-\x83].", re.DOTALL)
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_START_CODE = re.compile(rb"\x00\x00\x01(?=(..))", re.DOTALL)
_CODES_SEEN = 2000
_TRANSPORT_TRIED = 500
# So many of a bare stream's units must lie behind a recorder's own header, which is so long at most.
_CODES_BEHIND, _HEADER = 8, 4096
_LEVELS_OF_AVS = (b"\x10", b"\x20", b"\x22", b"\x40", b"\x42")
_MXF_HEADER = b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02"
# What begins a programme stream's packets: pack, system header, map, audio, video and private streams.
_PACKETS_OF_PS = frozenset({0xBA, 0xBB, 0xBC, 0xBD, 0xBE, 0xBF, *range(0xC0, 0xF0)})
# The bits that MPEG-1 and MPEG-2 fix in the byte after a pack's start code.
_PACK = re.compile(rb"\x00\x00\x01\xba[\x20-\x2f\x40-\x7f]", re.DOTALL)
# Five packets in a row; M2TS puts four bytes before each, and some broadcasts sixteen behind.
_TRANSPORT = tuple(re.compile(rb"(?=\x47(?:.{%d}\x47){4})" % (stride - 1), re.DOTALL) for stride in (188, 192, 204))


def begins(*magics: bytes, at: int = 0) -> Recogniser:
    """Whether one of `magics` lies at the offset `at`."""
    return lambda head: head[at : at + 16 + max(map(len, magics))].startswith(magics)


def chunked(outer: bytes, *inner: bytes) -> Recogniser:
    """RIFF and its like: a name, a length, and what kind of it."""
    return lambda head: head.startswith(outer) and head[8:12] in inner


def any_of(*recognisers: Recogniser) -> Recogniser:
    """Whether one of them says yes."""
    return lambda head: any(recognise(head) for recognise in recognisers)


def all_of(*recognisers: Recogniser) -> Recogniser:
    """Whether all of them say yes."""
    return lambda head: all(recognise(head) for recognise in recognisers)


def is_mxf_behind_run_in(head: bytes) -> bool:
    """Up to 64 KiB of anything may come before the header partition."""
    return _MXF_HEADER in head[: 64 * 1024 + len(_MXF_HEADER)]


def is_mpeg_ts(head: bytes) -> bool:
    """Packets of a transport stream, from wherever: it may begin within one, or behind a recorder's own header."""
    for packets in _TRANSPORT:
        for match in islice(packets.finditer(head), _TRANSPORT_TRIED):
            # A plain area of a picture, or a file full of one letter, is no stream.
            if len(set(head[match.start() : match.start() + 188])) > 1:
                return True
    return False


def is_mpeg_ps(head: bytes) -> bool:
    """Packets of a programme stream at the beginning, or a pack and what may follow it behind a recorder's header."""
    codes = list(_codes(head))
    if codes and codes[0][0] in _PACKETS_OF_PS:
        return codes[0][0] == 0xBA or len([code for code, _ in codes if code in _PACKETS_OF_PS]) > 1
    for match in _PACK.finditer(head):
        following = _START_CODE.search(head, match.end(), match.end() + 300)
        if following is not None and following[1][0] in _PACKETS_OF_PS:
            return True
    return False


def _codes(head: bytes) -> Iterator[tuple[int, int]]:
    """The two bytes behind each start code of a stream that begins with one, after any number of zeros."""
    match = _START_CODE.search(head)
    if match is None or head[: match.start()].strip(b"\x00"):
        return
    for seen, match in enumerate(_START_CODE.finditer(head)):
        if seen == _CODES_SEEN:
            return
        yield match[1][0], match[1][1]


def bare(recognise: Recogniser) -> Recogniser:
    """Whether it says yes to the file, or to the many units of a stream that lie behind something else."""

    def look(head: bytes) -> bool:
        if recognise(head):
            return True
        first = _START_CODE.search(head, 0, _HEADER)
        stream = b"" if first is None else head[first.start() :]
        return len(list(_codes(stream))) >= _CODES_BEHIND and recognise(stream)

    return look


def is_mpeg_video(head: bytes) -> bool:
    """MPEG-1 and MPEG-2: a sequence header first, or behind the first group of pictures."""
    codes = [code for code, _ in _codes(head)]
    return codes[:1] == [0xB3] or (codes[:1] == [0xB8] and 0xB3 in codes)


def is_mpeg4_video(head: bytes) -> bool:
    """MPEG-4 part 2: a visual sequence, or an object and a picture; and a video object layer."""
    codes = [code for code, _ in _codes(head)]
    first = codes[0] if codes else 0xFF
    return (first == 0xB0 or (first < 0x30 and 0xB6 in codes)) and any(0x20 <= code < 0x30 for code in codes[:8])


def is_chinese_avs(head: bytes) -> bool:
    """AVS: a sequence header of its one profile and levels, then a picture."""
    codes = list(_codes(head))
    header = head.lstrip(b"\x00")[1:4]
    return header[:2] == b"\xb0\x20" and header[2:] in _LEVELS_OF_AVS and any(
        code in (0xB3, 0xB6) for code, _ in codes[1:4]
    )  # fmt: skip


def is_vc1(head: bytes) -> bool:
    """VC-1, advanced profile: a sequence header, then an entry point."""
    codes = [code for code, _ in _codes(head)]
    return codes[:1] == [0x0F] and 0x0E in codes[1:4]


def is_h264(head: bytes) -> bool:
    """H.264: a unit that may come first, and a sequence parameter set among the units."""
    codes = [code for code, _ in _codes(head)]
    first_may_be = (1, 5, 6, 7, 8, 9)
    return bool(codes) and codes[0] & 0x9F in first_may_be and any(code & 0x9F == 7 and code & 0x60 for code in codes)


def is_hevc(head: bytes) -> bool:
    """H.265: parameters, a delimiter or a message first, and a video or sequence parameter set among the units."""
    kinds = [code >> 1 if not code & 0x81 and 1 <= more < 8 else -1 for code, more in _codes(head)]
    return bool(kinds) and kinds[0] in (32, 33, 34, 35, 39) and not {32, 33}.isdisjoint(kinds)


def is_vvc(head: bytes) -> bool:
    """H.266: parameters, a delimiter or a message first, and a sequence parameter set among the units."""
    kinds = [more >> 3 if not code and more & 7 else -1 for code, more in _codes(head)]
    return bool(kinds) and kinds[0] in (12, 13, 14, 15, 20, 23) and 15 in kinds


def is_h263(head: bytes) -> bool:
    """H.263: a picture header with what is fixed in it at the very beginning, and one more."""
    pictures = [match.start() for match in _H263_PICTURE.finditer(head) if head[match.start() + 3] & 3 == 2]
    return len(pictures) > 1 and pictures[0] == 0


def is_h261(head: bytes) -> bool:
    """H.261: a picture header without insertions, and the header of its first group of blocks."""
    bits = int.from_bytes(head[:7], "big")
    return bits >> 36 == 0x10 and not bits >> 24 & 1 and bits >> 8 & 0xFFFF == 1 and 0 < (bits >> 4 & 0xF) < 13


def is_av1_units(head: bytes) -> bool:
    """AV1's open bitstream units with their sizes: a temporal delimiter, then a sequence header."""
    return head[:2] == b"\x12\x00" and len(head) > 2 and head[2] & 0xFB == 0x0A


def is_av1_annex_b(head: bytes) -> bool:
    """The same with the sizes before them: a unit of time, a frame, and in it the delimiter and a sequence header."""
    at, sizes = 0, []
    for _ in range(3):
        size, at = _leb128(head, at)
        sizes.append(size)
    if not (sizes[0] > sizes[1] > sizes[2] == 1) or head[at : at + 1] != b"\x10":
        return False
    size, at = _leb128(head, at + 1)
    return 4 < size < sizes[1] and head[at : at + 1] == b"\x08"


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + 8]):
        value |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value, at + place + 1
    return 0, at


def is_motion_jpeg(head: bytes) -> bool:
    """JPEG pictures one after the other: behind the end of the first, one more begins.

    Photographs too have more behind them (both eyes' views, what makes them brighter), and say so.
    """
    end = _end_of_jpeg(head)
    return end is not None and head[end : end + 3] == b"\xff\xd8\xff" and b"MPF\x00" not in head[:end]


def _end_of_jpeg(head: bytes) -> int | None:
    """Where the picture at the beginning is over, its thumbnails not taken for it; None where that is further on."""
    at = 2
    if head[:3] != b"\xff\xd8\xff":
        return None
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xD9:
            return at + 2
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
        if marker == 0xDA:
            # Within the picture's data a marker's first byte is followed by zero, or counts restarts.
            found = _JPEG_MARKER.search(head, at)
            if found is None:
                return None
            at = found.start()
    return at if head[at : at + 2] == b"\xff\xd9" else None


def is_animated_png(head: bytes) -> bool:
    """A PNG that says before its first picture that there are more of them."""
    control = head.split(b"IDAT", 1)[0].partition(b"acTL")[2]
    return head.startswith(b"\x89PNG\r\n\x1a\n") and int.from_bytes(control[:4], "big") > 1
