"""What a file is, by its first bytes. Nothing here opens media: demuxing hostile bytes is the workers' business."""

import codecs

ENOUGH = 4096
"""So many first bytes decide."""

# Elementary streams come without a container; their first unit gives them away.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1aE\xdf\xa3", "video/x-matroska"),
    (b"FLV\x01", "video/x-flv"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"OggS", "video/ogg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "application/mxf"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"\x00\x00\x01\xb0", "video/mp4v-es"),
    (b"\x00\x00\x00\x01\x67", "video/h264"),
    (b"\x00\x00\x01\x67", "video/h264"),
    (b"\x00\x00\x00\x01\x09", "video/h264"),
    (b"\x00\x00\x00\x01\x40\x01", "video/h265"),
    (b"\x00\x00\x00\x01\x46\x01", "video/h265"),
    (b"DKIF", "video/x-ivf"),
    (b".RMF", "application/vnd.rn-realmedia"),
)
_MP4_BOXES = (b"ftyp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"uuid")
# The same boxes also carry still pictures and music.
_STILL_BRANDS = (b"heic", b"heix", b"mif1", b"avif")
_MUSIC_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
_PACKETS = ((188, 0), (192, 4), (204, 0))
"""MPEG-TS: the distance of two packets and where the first begins; M2TS puts four bytes before each."""
_PACKETS_SEEN = 5

_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"ID3", "an MP3 recording"),
    (b"\xff\xfb", "an MP3 recording"),
    (b"\xff\xf3", "an MP3 recording"),
    (b"fLaC", "a FLAC recording"),
)
_RIFF = {b"WAVE": "a WAV recording", b"WEBP": "a WebP picture"}


def container_of(head: bytes) -> str | None:
    """The media type of the video container that begins with `head`, or None if it is none we know."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[4:8] in _MP4_BOXES:
        return _mp4(head)
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        return "video/x-msvideo"
    return "video/mp2t" if _is_mpeg_ts(head) else None


def _mp4(head: bytes) -> str | None:
    brand = head[8:12] if head[4:8] == b"ftyp" else b"qt  "
    if brand in _STILL_BRANDS or brand in _MUSIC_BRANDS:
        return None
    return "video/quicktime" if brand == b"qt  " else "video/mp4"


def _is_mpeg_ts(head: bytes) -> bool:
    # A recording may begin in the middle of a packet: the sync bytes are looked for at every offset.
    for stride, first in _PACKETS:
        for offset in range(first, first + stride):
            sync = head[offset::stride]
            if len(sync) >= _PACKETS_SEEN and sync[:_PACKETS_SEEN] == b"\x47" * _PACKETS_SEEN:
                return not _is_text(head)
    return False


def _is_text(head: bytes) -> bool:
    try:
        # It may end in the middle of a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\n\r\f\ufeff" for character in text)


def what_else(head: bytes) -> str:
    """In words, what a file that is no video seems to be."""
    if not head:
        return "empty"
    for magic, words in _OTHERS:
        if head.startswith(magic):
            return words
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        return "a still picture (HEIC or AVIF)"
    if head[4:8] == b"ftyp" and head[8:12] in _MUSIC_BRANDS:
        return "an audio recording"
    return "text" if _is_text(head) else "in no video container known here"
