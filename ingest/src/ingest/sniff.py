"""What a file is, by its first bytes. Nothing here opens media: demuxing hostile bytes is the workers' business."""

ENOUGH = 4096
"""So many first bytes decide."""

_MPEG_TS_STRIDES = (188, 192, 204)
_CONTAINERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"OggS", "video/ogg"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "application/mxf"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"\x00\x00\x01\xb3", "video/mpeg"),
    (0, b"\x00\x00\x00\x01\x67", "video/h264"),
    (0, b"\x00\x00\x00\x01\x40\x01", "video/h265"),
    (0, b"DKIF", "video/x-ivf"),
    (0, b".RMF", "application/vnd.rn-realmedia"),
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"ID3", "an MP3 recording"),
    (b"\xff\xfb", "an MP3 recording"),
    (b"fLaC", "a FLAC recording"),
    (b"\x1f\x8b", "a gzip archive"),
)


def container_of(head: bytes) -> str | None:
    """The media type of the video container that begins with `head`, or None if it is none we know."""
    for offset, magic, kind in _CONTAINERS:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if head[4:8] in _MP4_BOXES:
        return "video/quicktime" if head[4:8] != b"ftyp" or head[8:10] == b"qt" else "video/mp4"
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        return "video/x-msvideo"
    if _is_mpeg_ts(head):
        return "video/mp2t"
    return None


def _is_mpeg_ts(head: bytes) -> bool:
    # Packets of 188 bytes begin with 0x47; M2TS puts four bytes before each, some broadcasts 16 behind.
    for stride in _MPEG_TS_STRIDES:
        first = 4 if stride == 192 else 0
        places = range(first, len(head), stride)
        if len(places) >= 3 and all(head[place] == 0x47 for place in places[:5]):
            return True
    return False


def what_else(head: bytes) -> str:
    """In words, what a file that is no video seems to be."""
    if not head:
        return "empty"
    for magic, words in _OTHERS:
        if head.startswith(magic):
            return words
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "a WAV recording"
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return "in no video container known here"
    return "text" if text.isprintable() or "\n" in text else "in no video container known here"
