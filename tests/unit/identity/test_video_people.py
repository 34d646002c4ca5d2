"""People of one video, on encodings whose truth is known."""

import random
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings, Crop, FrameSize, Segment, Sighting
from castlist.contract.vectors import Vector, VectorFace
from castlist_identity.domain import Track
from castlist_identity.videos.told_apart import ToldApart
from castlist_identity.videos.video_people import PeopleSettings, people_of_video

LEFT, RIGHT = Box(10, 20, 80, 80), Box(300, 20, 80, 80)


def at(*coordinates: float) -> Vector:
    """A point whose distances to others can be read off its first coordinates."""
    encoding = np.zeros(128, dtype=np.float32)
    encoding[: len(coordinates)] = coordinates
    return encoding


def track(
    index: int,
    encodings: list[Vector],
    *,
    start: float = 0.0,
    count: int = 5,
    box: Box = LEFT,
    score: float = 1.0,
    chunk: int = 0,
    quality: float = 0.5,
) -> Track:
    sightings = tuple(Sighting(start + i * 0.2, box, score) for i in range(count))
    faces = tuple(VectorFace(start, box, score, quality, encoding) for encoding in encodings)
    crop = Crop(f"{chunk}-{index}", start, box, FrameSize(640, 480), quality)
    return Track(chunk, index, sightings, faces, crop)


def groups(tracks: list[Track], settings: PeopleSettings | None = None) -> list[tuple[float, int]]:
    """(first coordinate of the mean, sightings) of each person."""
    return [(round(float(p.mean[0]), 3), p.faces) for p in people_of_video(tracks, settings).people]


def test_tracks_of_one_face_are_one_person_across_chunks() -> None:
    """A track cut by a chunk border is one person with one segment, because the gap is short."""
    found = people_of_video([track(0, [at(0.0)]), track(0, [at(0.2)], start=1.4, chunk=1)])
    (person,) = found.people
    (segment,) = person.segments
    assert segment.start == 0.0
    assert segment.end == pytest.approx(2.2)
    assert person.faces == 10
    assert found.skipped == {}


def test_strangers_stay_apart_at_the_distance_and_join_below_it() -> None:
    """0.38 joins and 0.39 does not; the setting moves the border."""
    near, far = [track(0, [at(0.0)]), track(1, [at(0.379)], start=9)], [track(0, [at(0.0)]), track(1, [at(0.39)])]
    assert len(groups(near)) == 1
    assert len(groups(far)) == 2
    assert len(groups(far, PeopleSettings(distance=0.4))) == 1


def test_average_link_does_not_chain() -> None:
    """Somebody between two people goes to one of them and does not pull the other in, as single link would."""
    tracks = [track(0, [at(0.0)]), track(1, [at(0.30)], start=10), track(2, [at(0.62)], start=20)]
    assert groups(tracks) == [(0.15, 10), (0.62, 5)]


def test_a_track_whose_faces_alone_were_scored_may_found_a_person() -> None:
    """Of what a detector was not asked about nobody knows how sure it is; one that was never sure founds nobody."""
    for score, founded in ((1.0, 1), (0.2, 0)):
        scored = track(0, [at(0.0)], score=score)
        unknown = replace(scored, sightings=tuple(replace(seen, score=-1.0) for seen in scored.sightings))
        found = people_of_video([unknown])
        assert (len(found.people), dict(found.skipped)) == (founded, {} if founded else {"low_score": 5})


@pytest.mark.parametrize(
    ("detector", "smallest", "lines", "width", "founded"),
    [
        ("auto", 30, 480, 32, 1),
        ("auto", 40, 480, 38, 0),
        ("auto", 40, 480, 42, 1),
        ("auto", 57, 480, 51, 1),
        ("auto", 57, 480, 49, 0),
        ("auto", 40, 240, 28, 1),
        ("auto", 40, 240, 26, 0),
        ("auto", 40, 120, 21, 1),
        ("auto", 40, 120, 19, 0),
        ("hog", 57, 240, 49, 0),
    ],
)
def test_a_face_as_small_as_a_gallery_asks_for_may_found_a_person(
    detector: Literal["auto", "hog"], smallest: int, lines: int, width: int, founded: int
) -> None:
    """Where it asks for large ones alone, those of 50 pixels may as well; in small frames smaller ones do."""
    asked = AnalysisSettings(detector=detector, smallest_face=smallest)
    rules = PeopleSettings.of(asked, FrameSize(2 * lines, lines))
    found = people_of_video([track(0, [at(0.0)], box=Box(0, 0, width, width))], rules)
    assert (len(found.people), dict(found.skipped)) == (founded, {} if founded else {"too_small": 5})


def test_two_who_are_seen_together_are_two() -> None:
    """Two boxes in one frame that do not overlap, and encodings that may differ: each says of the other that it is
    somebody else."""
    found = people_of_video([track(0, [at(0.0)]), track(1, [at(0.31)], box=RIGHT)])
    assert [person.apart for person in found.people] == [(1,), (0,)]


def test_one_person_twice_in_a_picture_is_one() -> None:
    """In a mirror, a split screen, her own tile: nearer to each other than any two people are."""
    tracks = [track(0, [at(0.0)]), track(1, [at(0.29)], box=RIGHT), track(2, [at(0.1)], start=30)]
    (person,) = people_of_video(tracks).people
    assert person.faces == 15
    assert person.apart == ()


def test_one_person_twice_is_told_apart_from_a_stranger_twice() -> None:
    """Two people and their images: two persons, apart, however many boxes each of them has."""
    boxes = [Box(100 * i, 0, 80, 80) for i in range(4)]
    tracks = [track(i, [at(0.5 * (i % 2) + 0.1 * (i // 2))], box=box) for i, box in enumerate(boxes)]
    found = people_of_video(tracks)
    assert [(person.faces, person.apart) for person in found.people] == [(10, (1,)), (10, (0,))]


def test_who_has_no_encoding_and_is_seen_together_is_somebody_else() -> None:
    """Nothing says that it is the same person twice."""
    tracks = [track(0, [at(0.0)]), track(1, [], box=RIGHT)]
    assert len(ToldApart(tracks, [at(0.0), None], 0.38)) == 1


def test_overlapping_boxes_in_one_frame_may_be_one_face() -> None:
    """One face detected twice says nothing of two people."""
    shifted, means = Box(50, 40, 80, 80), [at(0.0), at(0.9)]
    assert len(ToldApart([track(0, [at(0.0)]), track(1, [at(0.9)], box=shifted)], means, 0.38)) == 0
    assert len(ToldApart([track(0, [at(0.0)]), track(1, [at(0.9)], box=RIGHT)], means, 0.38)) == 1


def test_seen_together_reaches_over_clusters() -> None:
    """A third track joins the nearer of two; they stay two although it lies between them."""
    tracks = [track(0, [at(0.0)]), track(1, [at(0.39)], box=RIGHT), track(2, [at(0.1)], start=30)]
    assert groups(tracks) == [(0.05, 10), (0.39, 5)]


def test_a_weak_track_joins_without_moving_its_person() -> None:
    """Mean and variance are those of the strong tracks, the sightings are counted."""
    weak = track(1, [at(0.3)], start=10, count=1)
    alone, both = people_of_video([track(0, [at(0.0)])]).people[0], people_of_video([track(0, [at(0.0)]), weak])
    (person,) = both.people
    assert np.array_equal(person.mean, alone.mean)
    assert person.variance == alone.variance
    assert person.faces == 6
    assert both.skipped == {}


@pytest.mark.parametrize(
    ("weak", "reason"),
    [
        (track(1, [at(2.0)], box=Box(0, 0, 49, 49), start=9), "too_small"),
        (track(1, [at(2.0)], score=0.29, start=9), "low_score"),
        (track(1, [at(2.0)], count=1, start=9), "too_few_sightings"),
        (track(1, [], start=9), "not_encoded"),
        (track(1, [at(float("nan"))], start=9), "not_encoded"),
    ],
)
def test_a_weak_track_founds_nobody_and_is_counted_by_reason(weak: Track, reason: str) -> None:
    """The count is in sightings, and a strong track of the same face would have been a person."""
    found = people_of_video([track(0, [at(0.0)]), weak])
    assert len(found.people) == 1
    assert found.skipped == {reason: len(weak.sightings)}


def test_the_gate_is_met_at_its_values() -> None:
    """Two sightings, score 0.3 and 50 px are enough."""
    assert len(groups([track(0, [at(0.0)], count=2, score=0.3, box=Box(0, 0, 50, 50))])) == 1


def test_two_weak_tracks_of_one_frame_do_not_share_a_person() -> None:
    """The nearer one joins; the other was seen beside it and is counted."""
    tracks = [
        track(0, [at(0.0)]),
        track(1, [at(0.21)], start=10, count=1),
        track(2, [at(-0.2)], start=10, count=1, box=RIGHT),
    ]
    found = people_of_video(tracks)
    assert [person.faces for person in found.people] == [6]
    assert found.skipped == {"too_few_sightings": 1}


def test_a_weak_track_seen_beside_its_nearest_goes_to_nobody_there() -> None:
    """Weak tracks respect who was in the frame with them."""
    found = people_of_video([
        track(0, [at(0.0)]), track(1, [at(0.39)], count=1, box=RIGHT), track(2, [at(0.1)], start=20)
    ])  # fmt: skip
    assert [person.faces for person in found.people] == [10]


def test_variance_is_the_mean_squared_distance_and_capped() -> None:
    """Faces at ±0.1 have variance 0.01; a blur with more than 0.04 has 0.04."""
    tight = people_of_video([track(0, [at(-0.1), at(0.1)])]).people[0]
    blurred = people_of_video([track(0, [at(-0.4), at(0.4)])]).people[0]
    assert tight.variance == pytest.approx(0.01)
    assert blurred.variance == 0.04


def test_segments_and_seconds() -> None:
    """Gaps of up to 2 s are bridged; seconds is the sum of what remains."""
    tracks = [
        track(0, [at(0.0)], count=6),
        track(1, [at(0.0)], start=3.0, count=6),
        track(2, [at(0.0)], start=10, count=6),
    ]
    (person,) = people_of_video(tracks).people
    assert person.segments == (Segment(0.0, 4.0), Segment(10.0, 11.0))
    assert person.seconds == pytest.approx(5.0)
    assert (person.first_seen, person.last_seen) == (0.0, 11.0)


def test_the_best_crop_is_of_a_strong_track() -> None:
    """Quality decides, but a weak track's crop is used only where there is no other."""
    tracks = [
        track(0, [at(0.0)], quality=0.4),
        track(1, [at(0.0)], start=10, quality=0.6),
        track(2, [at(0.0)], start=20, quality=0.9, count=1),
    ]
    crops = [person.crop.key for person in people_of_video(tracks).people if person.crop]
    bare = [replace(one, crop=None) for one in tracks[:2]]
    fallback = people_of_video([*bare, tracks[2]]).people[0].crop
    assert crops == ["0-1"]
    assert fallback is not None
    assert fallback.key == "0-2"


def test_places_are_thinned_to_five_a_second() -> None:
    """A track sampled at 30 a second keeps a place for each fifth of a second."""
    dense = Track(0, 0, tuple(Sighting(i / 30, LEFT, 1.0) for i in range(61)), (VectorFace(0, LEFT, 1, 1, at(0)),))
    (person,) = people_of_video([dense]).people
    assert len(person.places) == 11
    assert person.faces == 61


def test_persons_are_numbered_by_first_seen_whatever_the_order_of_tracks() -> None:
    """The same tracks in any order give the same people, to the bit; equal distances between them are many."""
    tracks = [
        track(
            i,
            [at(9 / 32 * (i % 4), 0.01 * i), at(9 / 32 * (i % 4), -0.01 * i)],
            start=float(i),
            count=1 + i % 3,
            chunk=i // 3,
        )
        for i in range(12)
    ]
    first = people_of_video(tracks)
    for seed in range(20):
        shuffled = list(tracks)
        random.Random(seed).shuffle(shuffled)
        again = people_of_video(shuffled)
        assert again.skipped == first.skipped
        for one, other in zip(first.people, again.people, strict=True):
            assert np.array_equal(one.mean, other.mean)
            assert replace(one, mean=other.mean).segments == other.segments
            assert (one.n, one.variance, one.crop, one.places) == (other.n, other.variance, other.crop, other.places)
    starts = [person.first_seen for person in first.people]
    assert starts == sorted(starts)


def test_a_video_without_tracks_has_nobody() -> None:
    """And is no error."""
    found = people_of_video([])
    assert found.people == ()
    assert found.skipped == {}


def test_a_person_knows_the_tracks_it_was_put_together_of() -> None:
    """In whatever order they came; those that only joined it too, and nobody else's."""
    founding = [track(3, [at(0.0)], chunk=1), track(0, [at(0.01)], chunk=0)]
    joining = track(7, [at(0.02)], chunk=2, score=-1.0)
    other = track(1, [at(5.0)], chunk=0, box=RIGHT)
    found = people_of_video([*founding, joining, other], PeopleSettings())
    assert [person.tracks for person in found.people] == [((0, 0), (1, 3), (2, 7)), ((0, 1),)]
