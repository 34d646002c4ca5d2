"""What is encrypted is said to be so, instead of being looked through for nobody."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from castlist_vision.reading.media_errors import EncryptedVideoError
from castlist_vision.reading.probe import probe

MakeVideo = Callable[..., Path]
KEY = "00112233445566778899aabbccddeeff"
CENC = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": KEY, "encryption_kid": KEY}


def noise(count: int) -> bytes:
    return np.random.default_rng(1).bytes(count)


def scramble_transport_stream(path: Path) -> None:
    """As conditional access does: every packet of the pictures says so, and its payload is noise."""
    content = bytearray(path.read_bytes())
    for at in range(0, len(content), 188):
        if (content[at + 1] & 0x1F) << 8 | content[at + 2] == 256:
            content[at + 3] |= 0xC0
            begin = at + 4 + (1 + content[at + 4] if content[at + 3] & 0x20 else 0)
            content[begin : at + 188] = noise(at + 188 - begin)
    path.write_bytes(content)


def scramble_sectors(path: Path) -> None:
    """As on a DVD: packets of pictures say so, and all but their first bytes is noise."""
    content = bytearray(path.read_bytes())
    for at in range(0, len(content), 2048):
        pes = content.find(b"\x00\x00\x01\xe0", at, at + 2048)
        if pes >= 0:
            content[pes + 6] |= 0x10
            content[at + 128 : at + 2048] = noise(len(content[at + 128 : at + 2048]))
    path.write_bytes(content)


@pytest.mark.parametrize("fragmented", [False, True])
def test_an_mp4_with_common_encryption_is_encrypted(fragmented: bool, make_video: MakeVideo) -> None:
    """Its index is whole, and each sample says how it is encrypted."""
    more = {"movflags": "frag_keyframe+empty_moov"} if fragmented else {}
    with pytest.raises(EncryptedVideoError):
        probe(make_video(container_options={**CENC, **more}))


def test_a_scrambled_transport_stream_is_encrypted(make_video: MakeVideo) -> None:
    """No packet of it can be put together."""
    path = make_video(container="mpegts")
    scramble_transport_stream(path)
    with pytest.raises(EncryptedVideoError):
        probe(path)


def test_the_scrambled_sectors_of_a_dvd_are_encrypted(make_video: MakeVideo) -> None:
    """Some pictures of it can be decoded, to noise."""
    path = make_video(container="vob", codec="mpeg2video", frames=150)
    probe(path)
    scramble_sectors(path)
    with pytest.raises(EncryptedVideoError):
        probe(path)
