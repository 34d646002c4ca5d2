"""Bytes and events: what goes in comes out, and what cannot be read is an UndecodableMessageError, whatever it is."""

import contextlib
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castlist.contract import asyncapi, commands, values, vectors
from castlist.contract import events as e
from castlist.contract.codec import UndecodableMessageError, decode, decode_stored, encode
from castlist.contract.ids import enrolment_id
from castlist.contract.topics import BY_NAME, TOPICS, VIDEO_UPLOADED, Topic, topic_of
from castlist.contract.video_warnings import WARNING_CODES
from testkit.any_event import models
from testkit.examples import example, examples

FEW = settings(max_examples=15, deadline=None)
KINDS = sorted(asyncapi.events().values(), key=lambda kind: kind.__name__)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_encoded_is_decoded(kind: type[e.Event]) -> None:
    """Any event survives the way through bytes, and has a key."""

    @FEW
    @given(models(kind))
    def holds(event: Any) -> None:
        topic = topic_of(event)
        assert decode(topic, encode(event)) == event
        assert topic.key(event).encode()

    holds()


@pytest.mark.parametrize("event", examples(), ids=lambda event: event.event)
def test_fields_we_do_not_know_are_ignored(event: Any) -> None:
    """A producer may be newer than we: what it adds, at the top or inside, is passed over."""

    @FEW
    @given(JSON)
    def holds(value: Any) -> None:
        body = json.loads(encode(event))
        for node in _models(body):
            node["of_the_future"] = value
        assert decode(topic_of(event), json.dumps(body).encode()) == event

    holds()


def _models(node: Any) -> Iterator[dict[str, Any]]:
    """All objects in a body, but for the one whose keys are data."""
    for name, value in list(node.items()) if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list) and name != "faces_skipped":
            yield from _models(value)
    if isinstance(node, dict):
        yield node


@FEW
@given(st.sampled_from(TOPICS), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_undecodable(topic: Topic, value: bytes) -> None:
    """Bytes that are no event are refused with a reason that fits into a header; nothing else is raised."""
    with pytest.raises(UndecodableMessageError) as refused:
        decode(topic, value)
    assert str(refused.value).encode()


@pytest.mark.parametrize("event", examples(), ids=lambda event: event.event)
def test_a_spoiled_event_is_an_event_or_undecodable(event: Any) -> None:
    """With any value of it replaced or left out, it is read as something that can be written again, or refused."""

    @settings(max_examples=25, deadline=None)
    @given(JSON, st.booleans(), st.randoms(use_true_random=False))
    def holds(value: Any, remove: bool, chance: random.Random) -> None:
        body = json.loads(encode(event))
        node, name = chance.choice(list(_places(body)))
        if remove:
            del node[name]
        else:
            node[name] = value
        with contextlib.suppress(UndecodableMessageError):
            read = decode(topic_of(event), json.dumps(body).encode())
            assert decode(topic_of(read), encode(read)) == read

    holds()


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield node, name
        if isinstance(value, dict | list):
            yield from _places(value)


def _uploaded(**changes: Any) -> bytes:
    return json.dumps(json.loads(encode(example(e.VideoUploaded))) | changes).encode()


def _without(name: str) -> bytes:
    body = json.loads(encode(example(e.VideoUploaded)))
    del body[name]
    return json.dumps(body).encode()


BAD = {
    "none at all": (None, "not JSON"),
    "empty": (b"", "not JSON"),
    "not text": (b"\xff\xfe\x00", "not JSON"),
    "not JSON": (b"VideoUploaded", "not JSON"),
    "cut off": (_uploaded()[:-1], "not JSON"),
    "too deep": (b"[" * 100_000, "not JSON"),
    "a number of many digits": (b"9" * 10_000, "not JSON"),
    "a list": (b"[1]", "not a JSON object"),
    "a text": (b'"VideoUploaded"', "not a JSON object"),
    "no event": (b"{}", "carries no event None"),
    "an unknown event": (_uploaded(event="VideoEaten"), "carries no event 'VideoEaten'"),
    "an event of another topic": (encode(example(commands.CancelVideo)), "carries no event 'CancelVideo'"),
    "half a character": (b'{"event": "\\ud800"}', "carries no event"),
    "no version": (_without("version"), "version None is unknown"),
    "a later version": (_uploaded(version=2), "version 2 is unknown; this build reads version 1"),
    "a version as text": (_uploaded(version="1"), "version '1' is unknown"),
    "no id": (_without("event_id"), "event_id"),
    "an empty id": (_uploaded(event_id=""), "event_id"),
    "no video": (_without("video_id"), "video_id"),
    "a colon in the video's id": (_uploaded(video_id="a:b"), "video_id"),
    "a line's end behind the video's id": (_uploaded(video_id="a\n"), "video_id"),
    "a gallery that is a path": (_uploaded(gallery="../x"), "gallery"),
    "epoch 0": (_uploaded(epoch=0), "epoch"),
    "an epoch larger than MongoDB's": (_uploaded(epoch=2**63), "epoch"),
    "half an epoch": (_uploaded(epoch=1.5), "epoch"),
    "a hash that is none": (_uploaded(sha256="ab" * 40), "sha256"),
    "a long etag": (_uploaded(object={"bucket": "castlist", "key": "k", "etag": "e" * 257}), "object.etag"),
    "no object": (_uploaded(object=None), "object"),
    "an object without a key": (_uploaded(object={"bucket": "castlist"}), "object.key"),
    "a time that is none": (_uploaded(occurred_at="yesterday"), "occurred_at"),
    "a time of no zone": (_uploaded(occurred_at="2026-01-02T03:04:05"), "occurred_at"),
    "a time before all years": (_uploaded(occurred_at="0001-01-01T00:00:00+14:00"), "occurred_at"),
}


@pytest.mark.parametrize(("value", "reason"), BAD.values(), ids=BAD.keys())
def test_the_error_says_what_is_wrong(value: bytes | None, reason: str) -> None:
    """The reason names the field, the event or the version."""
    with pytest.raises(UndecodableMessageError) as refused:
        decode(VIDEO_UPLOADED, value)
    assert reason in str(refused.value)


def _encoded(**changes: Any) -> bytes:
    return json.dumps(json.loads(encode(example(e.FacesEncoded))) | changes).encode()


def _track(**changes: Any) -> bytes:
    (track,) = json.loads(encode(example(e.FacesEncoded)))["tracks"]
    return _encoded(tracks=[track | changes])


def _sighting(**changes: Any) -> bytes:
    (track,) = json.loads(encode(example(e.FacesEncoded)))["tracks"]
    return _encoded(tracks=[track | {"sightings": [track["sightings"][0] | changes]}])


def _failed(**changes: Any) -> bytes:
    return json.dumps(json.loads(encode(example(e.ChunkFailed))) | changes).encode()


TOO_LARGE = {
    "a message that compressed well": (_failed(message="a" * 17_000_000), "too large: 17000"),
    "something unknown that compressed well": (_failed(of_the_future="a" * 17_000_000), "too large: 17000"),
    "a reason": (_failed(message="a" * 2_001), "message"),
    "a code": (_failed(code="a" * 65), "code"),
    "a chunk's number": (_encoded(chunk=20_000), "chunk"),
    "a part's number": (_encoded(part=1_000), "part"),
    "parts": (_encoded(parts=20_000_000), "parts"),
    "frames": (_encoded(frames=2**31), "frames"),
    "warnings": (_encoded(warnings=["a"] * 201), "warnings"),
    "a warning": (_encoded(warnings=["a" * 65]), "warnings"),
    "reasons of what was skipped": (_encoded(faces_skipped={f"r{n}": 1 for n in range(65)}), "faces_skipped"),
    "what was skipped": (_encoded(faces_skipped={"small": 2**31}), "faces_skipped"),
    "a time": (_sighting(time=1e308), "tracks.0.sightings.0.time"),
    "a time before all": (_sighting(time=-1e308), "tracks.0.sightings.0.time"),
    "an endless time": (_sighting(time=float("inf")), "invalid FacesEncoded"),
    "a score": (_sighting(score=1e9), "tracks.0.sightings.0.score"),
    "a box": (_sighting(box={"left": 2**40, "top": 0, "width": 1, "height": 1}), "tracks.0.sightings.0.box.left"),
    "a track's number": (_track(track=100_000), "tracks.0.track"),
    "a crop's key": (
        _track(crop={**json.loads(_track())["tracks"][0]["crop"], "key": "a" * 1025}),
        "tracks.0.crop.key",
    ),
}


@pytest.mark.parametrize(("value", "reason"), TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_what_is_too_large_is_refused(value: bytes, reason: str) -> None:
    """With the field that is, before anything works on it."""
    with pytest.raises(UndecodableMessageError) as refused:
        decode(BY_NAME["face.encodings"], value)
    assert reason in str(refused.value)


def test_no_video_is_called_as_pictures_are() -> None:
    """Ids that stand for an enrolment are refused where a video is announced; others that begin alike are not."""
    uploaded = json.loads(encode(example(e.VideoUploaded)))
    taken = json.dumps(uploaded | {"video_id": enrolment_id("change")}).encode()
    with pytest.raises(UndecodableMessageError, match="video_id"):
        decode(VIDEO_UPLOADED, taken)
    assert decode(VIDEO_UPLOADED, json.dumps(uploaded | {"video_id": "enrolled-party"}).encode())


def test_the_largest_are_read() -> None:
    """An epoch that is a moment, the last chunk, the last part, the longest reason, times of two days."""
    last = {"epoch": 2**53 - 1, "chunk": 19_999}
    for value in (
        _failed(message="a" * 2_000, **last),
        _encoded(part=999, parts=1_000, frames=2**31 - 1, **last),
        _sighting(time=48 * 3600.0),
        _sighting(time=-24 * 3600.0),
    ):
        assert encode(decode(BY_NAME["face.encodings"], value))


@pytest.mark.parametrize(
    "encoding",
    [
        "",
        "no base64",
        vectors.encode_vector(np.zeros(127, dtype="<f4")),
        vectors.encode_vector(np.zeros(128, dtype="<f4"))[:-4],
        vectors.encode_vector(np.full(128, np.nan, dtype="<f4")),
        vectors.encode_vector(np.full(128, np.inf, dtype="<f4")),
        vectors.encode_vector(np.full(128, 3e38, dtype="<f4")),
        7,
        None,
    ],
)
def test_an_encoding_is_128_finite_numbers(encoding: Any) -> None:
    """Of some size: a NaN would spoil every distance it meets, and the squares of large ones are infinite."""
    body = json.loads(encode(example(e.FacesEncoded)))
    body["tracks"][0]["faces"][0]["encoding"] = encoding
    with pytest.raises(UndecodableMessageError, match="encoding"):
        decode(BY_NAME["face.encodings"], json.dumps(body).encode())


@pytest.mark.parametrize("kind", [e.VideoPlanned, e.FacesEncoded])
def test_warnings_were_codes_in_version_1(kind: type[e.Event]) -> None:
    """Such a message, in a topic or stored, is read as the present one: each code with its sentence, without times."""
    event: Any = example(kind)
    body = {**json.loads(encode(event)), "version": 1, "warnings": ["truncated", "of another time"]}
    expected = event.model_copy(
        update={
            "warnings": (
                values.VideoWarning("truncated", WARNING_CODES["truncated"]),
                values.VideoWarning("of another time", "of another time"),
            )
        }
    )
    assert decode(topic_of(event), json.dumps(body).encode()) == expected
    assert decode_stored(kind, json.dumps(body)) == expected
    with pytest.raises(UndecodableMessageError, match="warnings"):
        decode(topic_of(event), json.dumps({**body, "warnings": "truncated"}).encode())
    with pytest.raises(UndecodableMessageError, match="version 0"):
        decode(topic_of(event), json.dumps({**body, "version": 0}).encode())


def test_a_vector_survives_to_the_bit() -> None:
    """float32 in, the same float32 out."""
    vector = np.random.default_rng(1).normal(size=values.ENCODING_SIZE).astype(np.float32)
    assert np.array_equal(vectors.decode_vector(vectors.encode_vector(vector)), vector)


def test_moments_are_told_in_utc() -> None:
    """Whatever zone a producer lives in, the stored moment is the same."""
    event = decode(VIDEO_UPLOADED, _uploaded(occurred_at="2026-01-02T03:04:05+05:30"))
    assert event.model_dump(mode="json")["occurred_at"] == "2026-01-01T21:34:05Z"
