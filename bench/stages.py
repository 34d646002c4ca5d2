"""The pipeline's stages over one file or several, without a server: what workers and aggregator would make of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from labelled import Answer

from castlist_identity import domain
from castlist_identity.auto_distance import auto_distance
from castlist_identity.partition import partition
from castlist_identity.video_people import people_of_video
from castlist_vision import face_tracking
from castlist_vision.chunk_pipeline import ChunkResult, work_chunk
from castlist_vision.chunk_plan import Chunk, plan_chunks
from castlist_vision.detector import DetectSettings, FaceDetector
from castlist_vision.encoder import Encoder, check_chip
from castlist_vision.geometry import Region
from castlist_vision.probe import probe


def warm_up(encoder: Encoder) -> None:
    """Load every model: that is paid once a process."""
    encoder.encode([check_chip()])
    FaceDetector(DetectSettings()).within(np.zeros((200, 200), np.uint8), [Region(0, 0, 200, 200)])
    face_tracking.align(np.zeros((200, 200, 3), np.uint8), Region(50, 50, 100, 100))


def work(path: Path, encoder: Encoder) -> tuple[float, list[tuple[Chunk, ChunkResult]]]:
    """What a worker does to a video, from its bytes on disk; its seconds, and the result of each chunk."""
    found = probe(path)
    chunks = plan_chunks(found.keyframes, found.duration)
    return found.duration, [(chunk, work_chunk(path, chunk, DetectSettings(), encoder)) for chunk in chunks]


def tracks(results: Sequence[tuple[Chunk, ChunkResult]]) -> list[domain.Track]:
    """As the aggregator takes them."""

    def box(region: Region) -> domain.Box:
        return domain.Box(region.left, region.top, region.width, region.height)

    return [
        domain.Track(
            chunk.index,
            track.index,
            tuple(domain.Sighting(seen.time, box(seen.box), seen.score) for seen in track.sightings),
            tuple(domain.Face(f.time, box(f.box), f.score, f.quality, f.encoding) for f in track.faces),
            domain.Crop(
                "",
                track.crop.time,
                box(track.crop.box),
                track.crop.frame_width,
                track.crop.frame_height,
                track.crop.quality,
            ),
        )
        for chunk, result in results
        for track in result.tracks
    ]


def people(found: dict[str, list[domain.Track]]) -> list[Answer]:
    """Who is in which clip, after matching across all of them."""
    members: dict[str, tuple[domain.Member, Answer]] = {}
    for clip, clip_tracks in found.items():
        for person in people_of_video(clip_tracks).people:
            if person.crop is None:
                continue
            key, box, crop = f"{clip}:1:{person.n}", person.crop.box, person.crop
            x, y = (box.left + box.width / 2) / crop.frame_width, (box.top + box.height / 2) / crop.frame_height
            apart = frozenset(f"{clip}:1:{n}" for n in person.apart)
            member = domain.Member(key, clip, person.mean, person.variance, apart)
            members[key] = member, Answer(clip, key, crop.time, x, y)
    profiles = partition((member for member, _ in members.values()), auto_distance(len(members)))
    profile_of = {key: profile for profile in profiles for key in profile}
    return [Answer(a.clip, profile_of[key], a.time, a.x, a.y) for key, (_, a) in members.items()]
