"""What is taken for a video by its first bytes, and what is said of the rest."""

import random

import pytest

from castlist.media.containers import CONTAINERS, ENOUGH, container_of
from castlist.media.other_files import what_else

UNITS_OF_H264 = b"\x00\x00\x00\x01\x67\x42\xc0\x00\x00\x01\x68\xce\x00\x00\x01\x65\x88\x84"


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
        (b"GIF89a\x80\x02", "image/gif"),
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
        (b"\x00\x00\x01\x67\x42\xc0\x1e\x95\x00\x00\x01\x68", "video/h264"),
        (b"\x00\x00\x01\x09\xf0\x00\x00\x00\x01\x67\x42", "video/h264"),
        (b"\x00\x00\x00\x00\x01\x06\x05\x20\x00\x00\x01\x27\x4d\x00", "video/h264"),
        (b"\x00\x00\x01\x40\x01\x0c\x00\x00\x01\x42\x01\x01", "video/h265"),
        (b"\x00\x00\x00\x01\x46\x01\x50\x00\x00\x01\x40\x01", "video/h265"),
        (b"\x00\x00\x01\x4e\x01\x05\x00\x00\x00\x01\x42\x01", "video/h265"),
        (b"\x00\x00\x00\x01\x00\x79\x01\x00\x00\x00\x01\x00\x81", "video/h266"),
        (b"\x00\x00\x01\xb0\xf1\x00\x00\x01\xb5\xa9\x00\x00\x01\x00\x00\x00\x01\x20\x08", "video/mp4v-es"),
        (b"\x00\x00\x01\x00\x00\x00\x01\x20\x08\x86\x00\x00\x01\xb6\x10\x60", "video/mp4v-es"),
        (b"\x00\x00\x01\x0f\xca\x80\x00\x00\x01\x0e\x12", "video/vc1"),
        (b"\x00\x00\x01\xb0\x20\x40\x00\x00\x01\xb3\x00\x00", "video/x-cavs"),
        (b"\x12\x00\x0a\x0b\x00\x00", "video/x-obu"),
        (b"\x1a\x18\x01\x10\x0c\x08\x00\x00", "video/x-av1"),
        (b"DHAV\xfd\x00\x00", "video/x-dhav"),
        (b"DAHUA\x00", "video/x-dhav"),
        (b"NSVf\x1c\x00\x00\x00", "video/x-nsv"),
        (b"DKIF\x00\x00", "video/x-ivf"),
        (b".RMF\x00\x00\x00\x12", "application/vnd.rn-realmedia"),
        (b"IMKH" + bytes(36) + b"\x00\x00\x01\xba\x44\x12" + bytes(8) + b"\x00\x00\x01\xe0\x07\xec", "video/mpeg"),
        (b"XMNV" + bytes(range(1, 60)) + UNITS_OF_H264 * 4, "video/h264"),
        (b"\x00\x00\x00\x01\x41\x9a" * 300 + UNITS_OF_H264, "video/h264"),
        (b"\x00\x00\x01\xb8\x00\x08\x00\x00\x01\x00\x00\x0a\x00\x00\x01\xb3\x14\x00", "video/mpeg"),
        (bytes(range(256)) * 4 + packets(188, 0), "video/mp2t"),
        (
            b"RIFF\x00\x00\x00\x00CDXA" + bytes(56) + b"\x00\x00\x01\xba\x21" + bytes(7) + b"\x00\x00\x01\xe0\x07\xec",
            "video/mpeg",
        ),
        (bytes(range(1, 200)) + b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02", "application/mxf"),
    ],
)
def test_containers_of_video_are_known_by_their_first_bytes(head: bytes, kind: str) -> None:
    """Also a broadcast recorded from the middle of a packet, a bare stream, and what a recorder's header precedes."""
    found = container_of(head)
    assert found is not None
    assert found.media_type == kind


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
        (bytes(range(128, 256)) * 9, "in no video format known here"),
        (bytes(500), "in no video format known here"),
        (b"The free encyclopedia", "text"),
        (b"FILM reviews of the week", "text"),
        (b"\x47" * 188 * 8 + b"\x00", "in no video format known here"),
        (b"\x00\x01\x00\x00\x00\x0c\x00\x80\x00\x03\x00\x40OS/2", "in no video format known here"),
        (b"\x00\x00\x01\x00\x01\x00\x20\x20\x00\x00\x01\x00\x20\x00", "in no video format known here"),
        (b"PK\x03\x04" + b"\x00\x00\x01\xba\x44" + bytes(20) + b"\x00\x00\x01\xe0", "a ZIP archive"),
        (b"XMNV" + bytes(range(1, 60)) + UNITS_OF_H264, "in no video format known here"),
        (b"\x00\x00", "in no video format known here"),
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
    taken = [seed for seed in range(500) if container_of(random.Random(seed).randbytes(4096)) is not None]
    assert taken == []


def test_a_photograph_with_a_second_picture_in_it_is_no_motion_jpeg() -> None:
    """What one eye sees, a thumbnail, or what makes it brighter lies behind the picture, and it says so."""
    scan = b"\xff\xda\x00\x02" + b"\x12\xff\x00\x34" * 20 + b"\xff\xd9"
    picture = b"\xff\xd8\xff\xe0\x00\x06JFIF" + scan
    several = b"\xff\xd8\xff\xe2\x00\x08MPF\x00\x00\x00" + scan
    with_thumbnail = b"\xff\xd8\xff\xe1" + (2 + 2 * len(picture)).to_bytes(2, "big") + picture * 2 + scan
    stream = container_of(picture * 2)
    assert stream is not None
    assert stream.demuxer == "mjpeg"
    for photograph in (picture, several + picture, with_thumbnail, (picture * 2)[: len(picture) - 10]):
        assert container_of(photograph) is None
        assert what_else(photograph) == "a JPEG picture"


def test_a_png_is_a_video_where_it_moves() -> None:
    """It says how many pictures there are before the first of them."""
    begin = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + bytes(17)
    moving = container_of(begin + b"\x00\x00\x00\x08acTL\x00\x00\x00\x05" + bytes(8) + b"IDAT")
    assert moving is not None
    assert moving.demuxer == "apng"
    assert container_of(begin + b"\x00\x00\x00\x08acTL\x00\x00\x00\x01" + bytes(8) + b"IDAT") is None
    assert container_of(begin + b"IDAT" + b"acTL\x00\x00\x00\x05") is None


def test_no_two_formats_share_a_name() -> None:
    """Each is listed once, and its suffixes are as they are compared: in lower case."""
    names = [container.name for container in CONTAINERS]
    suffixes = [suffix for container in CONTAINERS for suffix in container.suffixes]
    assert len(set(names)) == len(names)
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in suffixes)
