"""What ingest takes for a video by its first bytes, and what it says of the rest."""

import random

import pytest

from ingest.container_type import ENOUGH, container_of, what_else


def packets(stride: int, lead: int, count: int = 8) -> bytes:
    """MPEG-TS: packets of 188 bytes, `stride` apart, the first sync byte after `lead` bytes."""
    noise = random.Random(stride).randbytes(stride)
    packet = (b"\x47" + noise)[:stride]
    return noise[:lead].replace(b"\x47", b"\x00") + packet * count


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        (b"\x00\x00\x00\x14ftypqt  ", "video/quicktime"),
        (b"\x00\x00\x01\x00moov", "video/quicktime"),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "video/quicktime"),
        (b"\x00\x00\x00\x08free", "video/quicktime"),
        (b"\x1aE\xdf\xa3\x01\x00\x00\x00", "video/x-matroska"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo"),
        (b"FLV\x01\x05", "video/x-flv"),
        (b"GIF89a", "image/gif"),
        (b"OggS\x00", "video/ogg"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "video/x-ms-asf"),
        (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d", "application/mxf"),
        (b"\x00\x00\x01\xba\x44", "video/mpeg"),
        (b"\x00\x00\x01\xb3\x14", "video/mpeg"),
        (b"\x00\x00\x00\x01\x67\x42", "video/h264"),
        (packets(188, 0), "video/mp2t"),
        (packets(192, 4), "video/mp2t"),
        (packets(204, 0), "video/mp2t"),
        (packets(188, 77), "video/mp2t"),
    ],
)
def test_containers_of_video_are_known_by_their_first_bytes(head: bytes, kind: str) -> None:
    """Each kind that frame-workers can open, also a broadcast recorded from the middle of a packet."""
    assert container_of(head) == kind


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty"),
        (b"I am called lobby.mp4.\n" * 9, "text"),
        ("Ich heiße lobby.mp4 – wirklich".encode(), "text"),
        (b"G" * ENOUGH, "text"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "a WebP picture"),
        (b"\x00\x00\x00\x18ftypheic", "a still picture (HEIC or AVIF)"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04\x14", "a ZIP archive"),
        (b"ID3\x04", "an MP3 recording"),
        (b"fLaC\x00", "a FLAC recording"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "a WAV recording"),
        (b"\x00\x00\x00\x1cftypM4A ", "an audio recording"),
        (bytes(range(128, 256)) * 9, "in no video container known here"),
        (bytes(500), "in no video container known here"),
        (b"\x00\x00", "in no video container known here"),
    ],
)
def test_the_rest_is_named(head: bytes, words: str) -> None:
    """What is refused is refused with what it seems to be."""
    assert container_of(head) is None
    assert what_else(head) == words


def test_text_that_is_cut_within_a_character_is_text() -> None:
    """The first bytes end anywhere."""
    head = ("é" * ENOUGH).encode()[: ENOUGH - 1]
    assert what_else(head) == "text"


def test_noise_is_no_video() -> None:
    """Random bytes are not taken for packets."""
    taken = [seed for seed in range(200) if container_of(random.Random(seed).randbytes(ENOUGH)) is not None]
    assert taken == []
