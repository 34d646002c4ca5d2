"""What each rule of identity is worth, and how far its threshold may move.

    python bench/identity.py [--clips DIR --labels FILE] [--detector NAME] [--tracks FILE] [--stages] [--sets N]
    python bench/identity.py --clips DIR --labels FILE --reencode DIR [--detector NAME] [--only CLIP]

For the labelled clips (worked through by the pipeline's own stages; `--tracks` keeps what they found, so that a second
run decodes nothing; `--stages` decodes them twice more, without cuts and without mirror images) and for N synthetic
sets of videos (scenes_of_people.py): B-cubed precision, recall and F of the pipeline, of the pipeline with each rule
switched off, and of one distance on bare means at its best. Then F for a range of each threshold; its plateau is where
F is within 0.002 of the best. The last line is one JSON object.

With `--reencode` the clips (or one of them) in seventeen other encodings instead: F for each, the worst and the mean,
with one stage and with both, and the mean for a range of each of the second stage's constants. What is found in them is
kept in that folder: a second run decodes nothing.
"""

import argparse
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from labelled import Answer, Labels, frame_of
from other_encodings import ENCODINGS, encoded
from scenes_of_people import Scenes

from castlist.contract.values import NEW_GALLERY
from castlist_identity.domain import GalleryPerson, Track, VideoPerson
from castlist_identity.matching import second_stage
from castlist_identity.matching.auto_distance import auto_distance
from castlist_identity.matching.partition import partition
from castlist_identity.matching.second_stage import STAGES
from castlist_identity.nearest import isolation, lists, nearest_change
from castlist_identity.videos import video_people
from castlist_identity.videos.told_apart import ToldApart
from castlist_identity.videos.video_people import PeopleSettings, people_of_video

Tracks = Mapping[str, Sequence[Track]]
Found = list[tuple[str, VideoPerson, tuple[str, ...]]]
"""(video, person, profile)"""


VIDEO = PeopleSettings.of(NEW_GALLERY.analysis, frame_of(()))


@dataclass(frozen=True)
class Rules:
    """The pipeline's rules as they are. `across` None: auto. `second`: another value for a constant of that stage."""

    video: PeopleSettings = VIDEO
    across: float | None = None
    stages: int = STAGES
    second: tuple[str, float] | None = None
    variances: bool = True
    seen_together: bool = True
    weak_tracks: bool = True
    faces: int = 5


@dataclass(frozen=True)
class Score:
    precision: float
    recall: float

    @property
    def f(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def find(tracks: Tracks, rules: Rules) -> Found:
    """Who is in the videos, under these rules."""
    with _patched(rules):
        return _find(tracks, rules)


def _find(tracks: Tracks, rules: Rules) -> Found:
    found = {
        video: people_of_video([replace(t, faces=_best(t, rules.faces)) for t in of], _in_frames_of(of, rules)).people
        for video, of in tracks.items()
    }
    members = [
        GalleryPerson(
            f"{video}:1:{person.n}",
            video,
            person.mean,
            person.variance if rules.variances else 0.0,
            frozenset(f"{video}:1:{n}" for n in person.apart),
        )
        for video, people_there in found.items()
        for person in people_there
    ]
    across = auto_distance(len(members)) if rules.across is None else rules.across
    profile_of = {key: profile for profile in partition(members, across, None, rules.stages) for key in profile}
    return [(v, person, profile_of[f"{v}:1:{person.n}"]) for v, there in found.items() for person in there]


def _in_frames_of(tracks: Sequence[Track], rules: Rules) -> PeopleSettings:
    """The rules for a video; unless they ask for another smallest width, with that of its frames."""
    if rules.video.min_width != VIDEO.min_width:
        return rules.video
    return replace(rules.video, min_width=PeopleSettings.of(NEW_GALLERY.analysis, frame_of(tracks)).min_width)


def _best(track: Track, count: int) -> tuple[Any, ...]:
    return tuple(sorted(track.faces, key=lambda face: -face.quality)[:count])


@contextmanager
def _patched(rules: Rules) -> Iterator[None]:
    """Rules that have no setting, because only this bench switches them off."""
    with ExitStack() as stack:
        if not rules.seen_together:
            nobody = ToldApart([], [], 0)
            stack.enter_context(patch.object(video_people, "ToldApart", lambda *_: nobody))
        if not rules.weak_tracks:
            stack.enter_context(
                patch.object(video_people, "_attach", lambda weak, means, groups, *_: [[] for _ in groups])
            )
        if rules.second is not None:
            name, value = rules.second
            for module in (second_stage, lists, nearest_change):
                if hasattr(module, name):
                    stack.enter_context(patch.object(module, name, value))
            if name != "JOINED":
                scale = replace(isolation.OF_CLUSTERS, **{name.lower(): value})
                for function in (isolation.isolation, isolation.normalised):
                    stack.enter_context(patch.object(function, "__defaults__", (scale,)))
        yield


def on_clips(tracks: Tracks, labels: Labels) -> Callable[[Rules], Score]:
    """Scores rules by the labels."""

    def score(rules: Rules) -> Score:
        answers = []
        for clip, person, profile in find(tracks, rules):
            if person.crop is not None:
                answers.append(Answer.of_crop(clip, profile, person.crop))
        return Score(*labels.b_cubed(answers, tracks))

    return score


def on_scenes(sets: Sequence[Scenes]) -> Callable[[Rules], Score]:
    """Scores rules by what was drawn; the mean over the sets."""

    def score(rules: Rules) -> Score:
        every = [scenes.score(find(scenes.tracks, rules)) for scenes in sets]
        return Score(*np.mean(every, axis=0).tolist())

    return score


BARE = Rules(
    PeopleSettings(min_sightings=1, min_score=-9, min_width=0, variance_cap=0),
    stages=1,
    variances=False,
    seen_together=False,
    weak_tracks=False,
)
WITHOUT = {
    "the pipeline": Rules(),
    "without the second stage": Rules(stages=1),
    "without variances": Rules(variances=False),
    "without a cap on them": Rules(replace(VIDEO, variance_cap=9)),
    "without seen together": Rules(seen_together=False),
    "without a smallest width": Rules(replace(VIDEO, min_width=0)),
    "without a lowest score": Rules(replace(VIDEO, min_score=-9)),
    "without a second sighting": Rules(replace(VIDEO, min_sightings=1)),
    "without any gate": Rules(replace(VIDEO, min_sightings=1, min_score=-9, min_width=0)),
    "without weak tracks": Rules(weak_tracks=False),
    "with one face a track": Rules(faces=1),
    "one distance in and across": Rules(replace(VIDEO, distance=auto_distance(0))),
}


def _with_second(name: str, value: float) -> Rules:
    return Rules(second=(name, value))


SECOND_STAGE: dict[str, tuple[str, Sequence[float]]] = {
    "joined": ("JOINED", [0.50, 0.52, 0.54, 0.55, 0.56, 0.57, 0.58, 0.59, 0.60, 0.62]),
    "usual": ("USUAL", [0.54, 0.56, 0.58, 0.60, 0.61, 0.62, 0.63, 0.64, 0.66, 0.68]),
    "typical": ("TYPICAL", [0.75, 0.79, 0.83, 0.87, 0.91]),
    "far": ("FAR", [0.64, 0.66, 0.68, 0.70, 0.72]),
}
THRESHOLDS: dict[str, tuple[Callable[[float], Rules], Sequence[float]]] = {
    "across videos": (lambda v: Rules(across=v), np.arange(0.34, 0.63, 0.02).round(2).tolist()),
    "in a video": (lambda v: Rules(replace(VIDEO, distance=v)), np.arange(0.22, 0.53, 0.02).round(2).tolist()),
    "cap of variance": (
        lambda v: Rules(replace(VIDEO, variance_cap=v)),
        [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08],
    ),
    "smallest width": (lambda v: Rules(replace(VIDEO, min_width=v)), [0, 30, 40, 50, 60, 70, 80]),
    "lowest score": (lambda v: Rules(replace(VIDEO, min_score=v)), [-0.2, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0]),
    "sightings": (lambda v: Rules(replace(VIDEO, min_sightings=int(v))), [1, 2, 3, 4, 5, 8]),
    **{
        f"second stage, {label}": (partial(_with_second, name), values)
        for label, (name, values) in SECOND_STAGE.items()
    },
}


def report(name: str, score: Callable[[Rules], Score]) -> dict[str, Any]:
    """Print the tables for one kind of material."""
    print(f"\n{name}\n  {'':30}{'precision':>10}{'recall':>9}{'F':>9}")
    rows = {label: score(rules) for label, rules in WITHOUT.items()}
    bare = {
        d: score(replace(BARE, across=d, video=replace(BARE.video, distance=d))) for d in THRESHOLDS["across videos"][1]
    }
    best = max(bare, key=lambda d: bare[d].f)
    rows[f"bare means, {best} at their best"] = bare[best]
    for label, one in rows.items():
        print(f"  {label:30}{one.precision:10.4f}{one.recall:9.4f}{one.f:9.4f}", flush=True)
    plateaus = {}
    for threshold, (rules_at, values) in THRESHOLDS.items():
        fs = {value: score(rules_at(value)).f for value in values}
        top = [value for value in values if fs[value] >= max(fs.values()) - 0.002]
        plateaus[threshold] = [min(top), max(top)]
        print(f"  {threshold}: plateau {min(top)} to {max(top)}")
        print("    " + "  ".join(f"{value}: {f:.3f}" for value, f in fs.items()), flush=True)
    return {"rules": {label: round(one.f, 4) for label, one in rows.items()}, "plateaus": plateaus}


def tracks_of(clips: Path, kept: Path | None, detector: str) -> Tracks:
    """What the stages find in the clips, or found before."""
    if kept is not None and kept.exists():
        loaded: Tracks = pickle.loads(kept.read_bytes())
        return loaded
    found = worked_through(clips, detector)
    if kept is not None:
        kept.write_bytes(pickle.dumps(found))
    return found


def reencoded(clips: Sequence[Path], encoding: str, kept: Path, detector: str) -> Tracks:
    """What the stages find in these clips, so encoded, or found before."""
    found: dict[str, Sequence[Track]] = {}
    for clip in clips:
        file = kept / f"{clip.name} {encoding.replace('/', ' ')} {detector}.pickle"
        if not file.exists():
            with TemporaryDirectory() as folder:
                encoded(clip, encoding, Path(folder) / f"{clip.stem}.mkv")
                (of_one,) = worked_through(Path(folder), detector).values()
            file.write_bytes(pickle.dumps(of_one))
        found[clip.name] = pickle.loads(file.read_bytes())
    return found


def report_encodings(clips: Sequence[Path], labels: Labels, kept: Path, detector: str) -> dict[str, Any]:
    """Print F for each encoding of these clips, and what other constants would make of it."""
    kept.mkdir(parents=True, exist_ok=True)
    print(f"  {'':22}{'one stage':>26}{'both':>26}\n  {'':22}" + 2 * f"{'precision':>10}{'recall':>8}{'F':>8}")
    scores: dict[str, Callable[[Rules], Score]] = {}
    rows: dict[str, tuple[Score, Score]] = {}
    for encoding in ENCODINGS:
        scores[encoding] = on_clips(reencoded(clips, encoding, kept, detector), labels)
        rows[encoding] = one, both = scores[encoding](Rules(stages=1)), scores[encoding](Rules())
        figures = "".join(f"{s.precision:10.4f}{s.recall:8.4f}{s.f:8.4f}" for s in (one, both))
        print(f"  {encoding:22}{figures}", flush=True)
    summary: dict[str, Any] = {"f": {encoding: round(both.f, 4) for encoding, (_, both) in rows.items()}}
    for label, fs in zip(("one stage", "both"), zip(*((a.f, b.f) for a, b in rows.values()), strict=True), strict=True):
        right = sum(f > 1 - 1e-9 for f in fs)
        summary[label] = {"worst": round(min(fs), 4), "mean": round(float(np.mean(fs)), 4), "right": right}
        print(f"  {label}: worst {min(fs):.4f}, mean {np.mean(fs):.4f}, right {right} of {len(fs)}")
    for label, (name, values) in SECOND_STAGE.items():
        means: dict[float, float] = {}
        for value in values:
            means[value] = float(np.mean([score(Rules(second=(name, value))).f for score in scores.values()]))
        print(f"  {label}: " + "  ".join(f"{value}: {mean:.4f}" for value, mean in means.items()), flush=True)
        summary[label] = {value: round(mean, 4) for value, mean in means.items()}
    return summary


def worked_through(clips: Path, detector: str) -> Tracks:
    """The workers' stages over every clip."""
    from stages import load_models, settings_for, tracks, work

    from castlist.service.settings import Settings

    models, settings = load_models(Settings().castlist_cache), settings_for(detector)
    return {path.name: tracks(work(path, models, settings)[1]) for path in sorted(clips.iterdir()) if path.is_file()}


def without_stages(clips: Path, labels: Labels, detector: str) -> dict[str, float]:
    """F of the pipeline where a stage leaves something out."""
    from castlist_vision.faces import face_tracking
    from castlist_vision.frames.scene_cuts import CutFinder

    def no_cut(*_: Any) -> bool:
        return False

    def no_mirror(encoder: Any, chips: Sequence[Any]) -> list[Any]:
        return list(encoder.encode(chips))

    print(f"\n  {'':30}{'precision':>10}{'recall':>9}{'F':>9}")
    scores = {}
    for label, owner, name, instead in (
        ("without cuts", CutFinder, "is_cut", no_cut),
        ("without mirror images", face_tracking, "encode_faces", no_mirror),
    ):
        before = getattr(owner, name)
        setattr(owner, name, instead)
        try:
            one = on_clips(worked_through(clips, detector), labels)(Rules())
        finally:
            setattr(owner, name, before)
        print(f"  {label:30}{one.precision:10.4f}{one.recall:9.4f}{one.f:9.4f}", flush=True)
        scores[label] = round(one.f, 4)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--tracks", type=Path, help="a file of our own making")
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--detector", choices=["auto", "hog", "cnn"], default="auto")
    parser.add_argument("--sets", type=int, default=5)
    parser.add_argument("--reencode", type=Path, help="a folder of our own making")
    parser.add_argument("--only", help="one of the clips")
    args = parser.parse_args()
    if args.reencode:
        paths = [path for path in sorted(args.clips.iterdir()) if args.only in (None, path.name)]
        print(json.dumps(report_encodings(paths, Labels.read(args.labels), args.reencode, args.detector)))
        return
    results: dict[str, Any] = {}
    if args.clips and args.labels:
        clips = tracks_of(args.clips, args.tracks, args.detector)
        results["clips"] = report("labelled clips", on_clips(clips, Labels.read(args.labels)))
        if args.stages:
            results["clips"]["stages"] = without_stages(args.clips, Labels.read(args.labels), args.detector)
    scenes = [Scenes(seed) for seed in range(args.sets)]
    results["synthetic"] = report(f"{args.sets} synthetic sets", on_scenes(scenes))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
