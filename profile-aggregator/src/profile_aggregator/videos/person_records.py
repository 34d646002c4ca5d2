"""Between events, documents and the domain's values."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from castlist.contract import events, values, vectors
from castlist.contract.ids import person_key
from castlist.ports.documents import Document
from castlist_identity.domain import Box, Crop, Encoding, Face, Member, Place, Segment, Sighting, Track, VideoPerson


def tracks_of(found: events.FacesEncoded) -> list[Track]:
    """The tracks of one chunk (or one part of it)."""
    return [
        Track(
            chunk=found.chunk,
            index=track.track,
            sightings=tuple(Sighting(s.time, _box(s.box), s.score) for s in track.sightings),
            faces=tuple(
                Face(f.time, _box(f.box), f.score, f.quality, vectors.decode_vector(f.encoding)) for f in track.faces
            ),
            crop=_crop_of(track.crop),
        )
        for track in found.tracks
    ]


def _box(box: values.Box) -> Box:
    return Box(box.left, box.top, box.width, box.height)


def _crop_of(crop: values.Crop) -> Crop:
    return Crop(crop.key, crop.time, _box(crop.box), crop.frame.width, crop.frame.height, crop.quality)


def crop_event(crop: Crop) -> values.Crop:
    """The crop as the contract writes it."""
    left, top, width, height = (max(0, round(v)) for v in crop.box)
    return values.Crop(
        key=crop.key,
        time=crop.time,
        box=values.Box(left=left, top=top, width=width, height=height),
        frame=values.FrameSize(width=crop.frame_width, height=crop.frame_height),
        quality=crop.quality,
    )


def person_document(person: VideoPerson, gallery: str, video_id: str, epoch: int) -> Document:
    """A video person as it is stored, pending or committed; its profile is not part of it yet."""
    return {
        "_id": person_key(video_id, epoch, person.n),
        "gallery": gallery,
        "video_id": video_id,
        "epoch": epoch,
        "n": person.n,
        "mean": np.asarray(person.mean, "<f4").tobytes(),
        "variance": float(person.variance),
        "faces": person.faces,
        "segments": [list(segment) for segment in person.segments],
        "seconds": person.seconds,
        "first_seen": person.first_seen,
        "last_seen": person.last_seen,
        "crop": None if person.crop is None else crop_event(person.crop).model_dump(),
        "places": [[place.time, *place.box] for place in person.places],
        "apart": list(person.apart),
        "name": None,
    }


def _mean(document: Mapping[str, Any]) -> Encoding:
    return np.frombuffer(document["mean"], "<f4").astype(np.float32)


def places_of(document: Mapping[str, Any]) -> tuple[Place, ...]:
    """Where the person was, moment by moment."""
    return tuple(Place(time, Box(*box)) for time, *box in document["places"])


def person_of(document: Mapping[str, Any]) -> VideoPerson:
    """The inverse of `person_document`, less the places: thousands of them are read in a commit, and none is needed."""
    crop = document["crop"]
    return VideoPerson(
        n=document["n"],
        mean=_mean(document),
        variance=document["variance"],
        faces=document["faces"],
        segments=tuple(Segment(*segment) for segment in document["segments"]),
        seconds=document["seconds"],
        first_seen=document["first_seen"],
        last_seen=document["last_seen"],
        crop=None if crop is None else _stored_crop(crop),
        places=(),
        apart=tuple(document["apart"]),
    )


def _stored_crop(crop: Mapping[str, Any]) -> Crop:
    frame = crop["frame"]
    return Crop(crop["key"], crop["time"], Box(**crop["box"]), frame["width"], frame["height"], crop["quality"])


MEMBER_FIELDS = ("video_id", "epoch", "mean", "variance", "apart", "name", "profile_id")


def member_of(document: Mapping[str, Any]) -> Member:
    """What matching needs of a stored person."""
    return Member(
        key=document["_id"],
        video=document["video_id"],
        mean=_mean(document),
        variance=document["variance"],
        apart=frozenset(person_key(document["video_id"], document["epoch"], n) for n in document["apart"]),
        name=document["name"],
    )
