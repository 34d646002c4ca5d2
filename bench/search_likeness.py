"""How many of the profiles that a picture's face is compared with are that person: the share, by the likeness said.

    python bench/search_likeness.py [--sizes 6,20,60,200,1000,5000] [--faces 3000] [--seed 1]
                                    [--clips DIR --labels FILE [--detector auto]]

Synthetic people (encodings_of_people.py), strangers and colleagues, in galleries of so many profiles; half of the faces
are of people who are in the gallery, each in another video than any of theirs there. For each size: who is nearest is
right, the recall at a precision of 99 % by the likeness, by the distance from the mean that the index measures, and by
the distance to the nearest video person; then, of the five nearest profiles of each face, the share that are the
person, by the likeness said.

With labels, stills are cut from the clips, two a second, and each face is looked for among the people of all other
clips. The last line is one JSON object.
"""

import argparse
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from encodings_of_people import BETWEEN_FACES, COLLECTIONS, SIZE, Population
from labelled import IGNORED, Answer, Labels, frame_of
from PIL import Image
from stages import Models, load_models, settings_for, tracks, work

from castlist.contract.values import NEW_GALLERY
from castlist.contract.vectors import Vector
from castlist.service.settings import Settings
from castlist_identity.search.face_index import FaceIndex, Match, Person
from castlist_identity.videos.video_people import PeopleSettings, people_of_video
from castlist_vision.pictures.decode_picture import decode_picture
from castlist_vision.pictures.picture_faces import faces_in

SAID = (0.0, 0.02, 0.1, 0.3, 0.6, 0.9, 0.97, 1.001)
STILLS = 2.0


@dataclass(frozen=True)
class Pair:
    """A face and a profile: whether they are one person, and what was said. `first`: it is the face's nearest."""

    one: bool
    likeness: float
    distance: float
    first: bool
    by_person: float = np.inf


def synthetic(kind: str, people: int, faces: int, seed: int) -> tuple[list[Pair], list[Pair], int]:
    """The pairs of faces with their five nearest profiles, with the nearest by single persons, and how many faces are
    of people in the gallery."""
    population, chance = Population(2 * people, seed, 1.0, COLLECTIONS[kind]), np.random.default_rng(seed)
    noise, index = BETWEEN_FACES.axes(chance), FaceIndex()
    rows, variances, owners = list[Vector](), list[float](), list[int]()
    for who in range(people):
        for _ in range(int(chance.geometric(0.35))):
            mean, variance = population.video_person(who)
            rows.append(mean)
            variances.append(variance)
            owners.append(who)
    placed = {f"v{i}:1:0": str(who) for i, who in enumerate(owners)}
    index.change(placed, {f"v{i}:1:0": Person(rows[i], variances[i]) for i in range(len(rows))})
    means, added, owner = np.array(rows, np.float64), np.array(variances), np.array(owners)
    known = chance.choice(people, faces // 2)
    asked = [*known, *chance.choice(np.arange(people, 2 * people), faces - len(known))]
    pairs, by_person = list[Pair](), list[Pair]()
    for who in map(int, asked):
        shift = population.shift(who) + BETWEEN_FACES.factor(chance, 1)[0] * chance.normal(size=SIZE) @ noise
        face = (population.centres[who] + shift).astype(np.float32)
        for place, match in enumerate(index.nearest(face, 5)):
            pairs.append(Pair(int(match.profile) == who, match.likeness, match.distance, place == 0))
        squares = ((means - face) ** 2).sum(axis=1) + added
        nearest = int(squares.argmin())
        by_person.append(Pair(bool(owner[nearest] == who), 0.0, float(np.sqrt(squares[nearest])), True))
    return pairs, by_person, len(known)


def recall(pairs: Sequence[Pair], known: int, key: Any, precision: float = 0.99) -> float:
    """Of the faces that are known, the share whose nearest profile is right and told so at this precision."""
    first = sorted((pair for pair in pairs if pair.first), key=key)
    right = np.cumsum([pair.one for pair in first])
    enough = np.flatnonzero(right / np.arange(1, len(first) + 1) >= precision)
    return float(right[enough[-1]]) / known if len(enough) else 0.0


def shares(pairs: Sequence[Pair]) -> dict[str, tuple[float, int]]:
    """The share of pairs that are one person, and how many pairs there are, by the likeness said."""
    found = {}
    for low, high in pairwise(SAID):
        there = [pair.one for pair in pairs if low <= pair.likeness < high]
        if there:
            found[f"{low:g}-{min(high, 1):g}"] = round(float(np.mean(there)), 3), len(there)
    return found


def stills(path: Path, models: Models, detector: str) -> Iterator[tuple[Answer, Vector]]:
    """The faces of pictures cut from a clip, as they are sent: JPEG."""
    next_at = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is None or frame.time < next_at:
                continue
            next_at = frame.time + 1 / STILLS
            file = io.BytesIO()
            Image.fromarray(frame.to_ndarray(format="rgb24")).save(file, "JPEG", quality=90)
            for one in faces_in(decode_picture(file), settings_for(detector), models.encoder, models.centerface):
                box = one.face.box
                x, y = (box.left + box.width / 2) / frame.width, (box.top + box.height / 2) / frame.height
                yield Answer(path.name, None, frame.time, x, y), one.face.encoding


def labelled(clips: Path, labels: Labels, detector: str) -> tuple[list[Pair], int]:
    """The pairs of the faces of stills with the people of all other clips; how many of them are in another clip."""
    models = load_models(Settings().castlist_cache)
    paths = sorted(path for path in clips.iterdir() if path.is_file())
    people: dict[str, list[tuple[str, Person]]] = {}
    for path in paths:
        _, results = work(path, models, settings_for(detector))
        seen = tracks(results)
        for person in people_of_video(seen, PeopleSettings.of(NEW_GALLERY.analysis, frame_of(seen))).people:
            assert person.crop is not None
            who = labels.person(Answer.of_crop(path.name, None, person.crop))
            if who not in (None, IGNORED):
                people.setdefault(path.name, []).append((str(who), Person(person.mean, person.variance)))
    pairs, known = list[Pair](), 0
    for path in paths:
        index = FaceIndex()
        others = [
            (f"{clip}:1:{n}", *one) for clip, of in people.items() if clip != path.name for n, one in enumerate(of)
        ]
        index.change({key: who for key, who, _ in others}, {key: person for key, _, person in others})
        there = {who for _, who, _ in others}
        for answer, encoding in stills(path, models, detector):
            who = labels.person(answer)
            if who is None or who == IGNORED:
                continue
            known += who in there
            found: list[Match] = index.nearest(encoding, 5)
            pairs += [Pair(one.profile == who, one.likeness, one.distance, at == 0) for at, one in enumerate(found)]
    return pairs, known


def report(name: str, pairs: Sequence[Pair], by_person: Sequence[Pair], known: int) -> dict[str, Any]:
    """Print and return what was measured."""
    figures: dict[str, Any] = {
        "right": round(sum(pair.one for pair in pairs if pair.first) / known, 3),
        "by_likeness": round(recall(pairs, known, lambda pair: (-pair.likeness, pair.distance)), 3),
        "by_mean": round(recall(pairs, known, lambda pair: pair.distance), 3),
        "shares": {said: share for said, (share, _) in shares(pairs).items()},
    }
    if by_person:
        figures["by_person"] = round(recall(by_person, known, lambda pair: pair.distance), 3)
    told = "  ".join(f"{said}: {share:.2f} of {count}" for said, (share, count) in shares(pairs).items())
    print(
        f"{name:18} right {figures['right']:.3f}; recall at P .99 by likeness {figures['by_likeness']:.3f}, "
        f"mean {figures['by_mean']:.3f}, nearest person {figures.get('by_person', float('nan')):.3f}\n    {told}",
        flush=True,
    )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="6,20,60,200,1000,5000")
    parser.add_argument("--faces", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--detector", default="auto")
    args = parser.parse_args()
    results: dict[str, Any] = {}
    for kind in COLLECTIONS:
        for size in map(int, filter(None, args.sizes.split(","))):
            galleries = max(1, 60 // size)
            pairs, by_person, known = list[Pair](), list[Pair](), 0
            for number in range(galleries):
                some = synthetic(kind, size, args.faces // galleries, args.seed + number)
                pairs, by_person, known = pairs + some[0], by_person + some[1], known + some[2]
            results[f"{kind} {size}"] = report(f"{kind} {size}", pairs, by_person, known)
    if args.clips:
        pairs, known = labelled(args.clips, Labels.read(args.labels), args.detector)
        results["clips"] = report("clips", pairs, [], known)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
