"""The pipeline's stages over one file or several, without a server: what workers and aggregator would make of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from labelled import Answer, frame_of
from pydantic import TypeAdapter

from castlist.contract.box import Box
from castlist.contract.values import NEW_GALLERY, AnalysisSettings, Crop
from castlist_identity.domain import GalleryPerson, Track
from castlist_identity.matching.auto_distance import auto_distance
from castlist_identity.matching.partition import partition
from castlist_identity.videos.video_people import PeopleSettings, people_of_video
from castlist_vision.chunk_pipeline import ChunkResult, analyse_chunk
from castlist_vision.faces.alignment import align
from castlist_vision.faces.centerface import CenterFace, make_centerface
from castlist_vision.faces.detector import FaceDetector
from castlist_vision.faces.encoder import Encoder, check_chip, make_encoder
from castlist_vision.faces.face_crop import FaceCrop
from castlist_vision.reading.chunk_plan import Chunk, plan_chunks
from castlist_vision.reading.probe import probe


@dataclass(frozen=True)
class Models:
    """What is loaded once a process."""

    encoder: Encoder
    centerface: CenterFace


def load_models(cache_folder: Path) -> Models:
    """All of them, each used once: what they do at first is paid once a process, too."""
    models = Models(make_encoder("onnx", cache_folder), make_centerface(cache_folder))
    models.encoder.encode([check_chip()])
    FaceDetector(AnalysisSettings()).within(np.zeros((200, 200), np.uint8), [Box(0, 0, 200, 200)])
    align(np.zeros((200, 200, 3), np.uint8), Box(50, 50, 100, 100))
    return models


def settings_for(detector: str) -> AnalysisSettings:
    """What a gallery has that looks with this detector: `auto` as a new one, the others as those of before."""
    if detector == "auto":
        return NEW_GALLERY.analysis
    return TypeAdapter(AnalysisSettings).validate_python({"detector": detector})


def work(path: Path, models: Models, settings: AnalysisSettings) -> tuple[float, list[tuple[Chunk, ChunkResult]]]:
    """What a worker does to a video, from its bytes on disk; its seconds, and the result of each chunk."""
    found = probe(path)
    chunks = plan_chunks(found.keyframes, found.duration, found.stretches, found.holes)
    return found.duration, [
        (chunk, analyse_chunk(path, chunk, settings, models.encoder, centerface=models.centerface)) for chunk in chunks
    ]


def tracks(results: Sequence[tuple[Chunk, ChunkResult]]) -> list[Track]:
    """As the aggregator takes them."""
    return [
        Track(chunk.index, track.index, track.sightings, track.faces, _crop(track.crop))
        for chunk, result in results
        for track in result.tracks
    ]


def _crop(crop: FaceCrop) -> Crop:
    return Crop("", crop.time, crop.box, crop.frame, crop.quality)


def people(found: dict[str, list[Track]]) -> list[Answer]:
    """Who is in which clip, after matching across all of them."""
    members: list[GalleryPerson] = []
    crops: list[tuple[str, str, Crop]] = []
    for clip, clip_tracks in found.items():
        rules = PeopleSettings.of(NEW_GALLERY.analysis, frame_of(clip_tracks))
        for person in people_of_video(clip_tracks, rules).people:
            if person.crop is not None:
                key, apart = f"{clip}:1:{person.n}", frozenset(f"{clip}:1:{n}" for n in person.apart)
                members.append(GalleryPerson(key, clip, person.mean, person.variance, apart))
                crops.append((clip, key, person.crop))
    profiles = partition(members, auto_distance(len(members)))
    profile_of = {key: profile for profile in profiles for key in profile}
    return [Answer.of_crop(clip, profile_of[key], crop) for clip, key, crop in crops]
