"""Text that people will see, from wherever it comes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from castlist.api.profiles import ProfileChange
from castlist.contract.codec import UndecodableMessageError, decode
from castlist.contract.text import printable
from castlist.contract.topics import FACE_ENCODINGS, GALLERY_COMMITS, VIDEO_UPLOADED
from ingest.video_details import Announcement
from query_api.http.parameters import ProfileQuery, VideoQuery

EVIL = "Ada\u202e gpj\u2066.\u200b\x1b[31mexe\x00\u061c"
CLEAN = "Ada gpj.[31mexe"


def _json(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


NOW = datetime(2026, 1, 2, tzinfo=UTC).isoformat()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (EVIL, CLEAN),
        ("one\r\ntwo\u2028three\tfour", "one  two three four"),
        ("Ада Лавлейс – 愛 ", "Ада Лавлейс – 愛 "),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("a\u00a0b", "a\u00a0b"),
        ("\ue000\U000e0041\ufeff", ""),
    ],
)
def test_what_is_not_seen_is_left_out(text: str, shown: str) -> None:
    """No script suffers; text that is clean already stays as it is."""
    assert printable(text) == shown
    assert printable(shown) == shown


def test_what_is_no_text_is_left_to_others() -> None:
    """Who takes it refuses it."""
    assert printable(None) is None
    assert printable(7) == 7


ABOUT = {"version": 1, "event_id": "e", "occurred_at": NOW, "video_id": "v", "gallery": "g"}
MESSAGES: list[tuple[Any, dict[str, Any], str]] = [
    (VIDEO_UPLOADED, {"event": "VideoUploaded", "object": {"bucket": "castlist", "key": "k"}}, "name"),
    (VIDEO_UPLOADED, {"event": "VideoUploaded", "object": {"bucket": "castlist", "key": "k"}}, "external_id"),
    (GALLERY_COMMITS, {"event": "RenameProfile", "profile_id": "p"}, "name"),
    (FACE_ENCODINGS, {"event": "VideoRejected", "epoch": 1, "code": "internal"}, "message"),
    (FACE_ENCODINGS, {"event": "ChunkFailed", "epoch": 1, "chunk": 0, "code": "internal"}, "message"),
]


@pytest.mark.parametrize(("topic", "message", "field"), MESSAGES)
def test_text_is_cleaned_at_the_door_of_kafka(topic: Any, message: dict[str, Any], field: str) -> None:
    """Whatever a producer calls it."""
    event = decode(topic, _json({**ABOUT, **message, field: EVIL}))
    assert getattr(event, field) == CLEAN


def test_text_is_cleaned_at_the_door_of_http() -> None:
    """Where it is said and where it is asked for, so that what was said is found."""
    stored = {"bucket": "castlist", "key": "k"}
    said = Announcement.model_validate({"object": stored, "name": EVIL, "external_id": EVIL})
    assert (said.name, said.external_id) == (CLEAN, CLEAN)
    assert ProfileChange(name=EVIL).name == CLEAN
    assert ProfileQuery(name=EVIL).name == CLEAN
    assert VideoQuery(external_id=EVIL).external_id == CLEAN
    for nothing in (lambda: ProfileChange(name="\u202e"), lambda: VideoQuery(external_id="\x00")):
        with pytest.raises(ValidationError):
            nothing()


@pytest.mark.parametrize("id", [".", "..", "", "a/b", "a:b", "a\n", "a\x00", "é", "x" * 129])
def test_an_id_that_is_a_step_of_a_path_is_refused(id: str) -> None:
    """`..` would write at the bucket's top."""
    message = {**ABOUT, "event": "VideoUploaded", "object": {"bucket": "castlist", "key": "k"}, "video_id": id}
    with pytest.raises(UndecodableMessageError):
        decode(VIDEO_UPLOADED, _json(message))
    with pytest.raises(ValidationError):
        Announcement.model_validate({"object": {"bucket": "castlist", "key": "k"}, "video_id": id})


@pytest.mark.parametrize("id", ["a", "...", ".a", "..a", "a.", "a..b", "-", "_", "x" * 128, "." * 128, "." + "x" * 127])
def test_any_other_id_is_taken(id: str) -> None:
    """As the contract has it: `[A-Za-z0-9._-]{1,128}`."""
    assert Announcement.model_validate({"object": {"bucket": "castlist", "key": "k"}, "video_id": id}).video_id == id


@pytest.mark.parametrize("bucket", ["..", "a..b", ".ab", "a/b", "arn:aws:s3:::x", "ab", "x" * 64, "A-b", "a b"])
def test_a_bucket_that_is_none_is_refused(bucket: str) -> None:
    """No step upwards, no other server."""
    with pytest.raises(ValidationError):
        Announcement.model_validate({"object": {"bucket": bucket, "key": "k"}})
