"""The tracks that a run's people are made of, kept for who looks at the video: results are cleared soon."""

from collections.abc import Collection, Iterable, Sequence

from castlist.contract.ids import run_key
from castlist.store.packed_tracks import PackedTracks, TrackIndex, kept, packed, unpacked
from castlist.store.query import Where, with_id, within
from castlist.store.records.persons import TracksRecord
from castlist.store.store import Store
from castlist_identity.domain import Track, VideoPerson
from profile_aggregator.videos.found_people import insert_missing


def tracks_of_people(tracks: Iterable[Track], people: Iterable[VideoPerson]) -> list[PackedTracks]:
    """Of all tracks of a video, those that somebody is made of. Pure."""
    wanted = {index for person in people for index in person.tracks}
    found = (kept(one.chunk, one.index, one.sightings) for one in tracks if (one.chunk, one.index) in wanted)
    return list(packed(track for track in found if track is not None))


async def keep_tracks(store: Store, parts: Sequence[PackedTracks], run: str) -> None:
    """Store them, or the rest of them where that was begun before."""
    there = set(await store.tracks.ids(of_run(run)))
    for number, part in enumerate(parts):
        id = f"{run}:{number:05}"
        if id not in there:
            record = TracksRecord(id=id, start=part.start, end=part.end, tracks=part.tracks)
            await insert_missing(store.tracks, [record])  # another process may find the same people


def of_run(run: str) -> Where:
    """All documents of a run."""
    return within(TracksRecord.id, f"{run}:", f"{run};")


async def forget_tracks(store: Store, video_id: str, epoch: int, gone: Collection[TrackIndex]) -> None:
    """Where these tracks of a run were is known no more. Safe to repeat."""
    for part in await store.tracks.find(of_run(run_key(video_id, epoch))):
        there = list(unpacked(part.tracks))
        left = [track for track in there if (track.chunk, track.track) not in gone]
        if not left:
            await store.tracks.delete(with_id(part.id))
        elif len(left) < len(there):
            (rest,) = packed(left)
            await store.tracks.replace(TracksRecord(id=part.id, start=rest.start, end=rest.end, tracks=rest.tracks))


async def drop_tracks(store: Store, video_id: str, epoch: int) -> None:
    """Forget those of a run."""
    await store.tracks.delete(of_run(run_key(video_id, epoch)))
