"""What is refused, in words: files that are no videos, by what they begin with."""

import codecs

_TEXT_LOOKED_AT = 4096
_STILL_BRANDS = (b"heic", b"heix", b"mif1", b"avif")
_MUSIC_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"ID3", "an MP3 recording"),
    (b"\xff\xfb", "an MP3 recording"),
    (b"\xff\xf3", "an MP3 recording"),
    (b"fLaC", "a FLAC recording"),
)
_RIFF = {b"WAVE": "a WAV recording", b"WEBP": "a WebP picture"}


def what_else(head: bytes) -> str:
    """In words, what a file that is no video seems to be."""
    return _named(head) or ("text" if _is_text(head) else "in no video format known here")


def is_other(head: bytes) -> bool:
    """Whether the file is clearly something else, whatever may lie within it."""
    return _named(head) is not None or _is_text(head)


def _named(head: bytes) -> str | None:
    if not head:
        return "empty"
    for magic, words in _OTHERS:
        if head.startswith(magic):
            return words
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        return "a still picture (HEIC or AVIF)"
    if head[4:8] == b"ftyp" and head[8:12] in _MUSIC_BRANDS:
        return "an audio recording"
    return None


def _is_text(head: bytes) -> bool:
    try:
        # It may end in the middle of a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(head[:_TEXT_LOOKED_AT])
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\n\r\f\ufeff" for character in text)
