"""How much video one core gets through: this pipeline's stages, the usual script, and decoding alone, side by side.

    python bench/throughput.py --clips DIR [--labels FILE] [--every N] [--naive-frames N] [--detector NAME]
                               [--only a.mp4,b.mkv]

Clips below four seconds are one set, each longer one is its own. `--every N`: the usual script looks at every N-th
frame (and is charged N times for each look); by default at as many as make about `--naive-frames` looks a set. Models
are loaded before the clock starts. With labels, B-cubed F is printed for both. The last line is one JSON object.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labelled import Answer, Labels
from naive import NaiveScript
from stages import Models, load_models, people, settings_for, tracks, work

from castlist.contract.values import AnalysisSettings
from castlist.service.settings import Settings
from castlist_identity.domain import Track
from castlist_vision.faces import face_tracking
from castlist_vision.faces.auto_detector import AutoDetector
from castlist_vision.faces.best_faces import BestFaces
from castlist_vision.faces.detector import FaceDetector
from castlist_vision.faces.track_continuity import TrackContinuity
from castlist_vision.frames.frame import Frame
from castlist_vision.frames.scene_cuts import CutFinder
from castlist_vision.reading.chunk_plan import Chunk
from castlist_vision.reading.decode import ChunkDecoder

SHORT = 4.0
FRAME_RATE = 30


class Stopwatch:
    """Core seconds by stage, taken around the stages' own functions."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._within = 0.0

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Count the time of `owner.name` under `stage`, less what watched functions inside it take."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **named: Any) -> Any:
            outside, self._within = self._within, 0.0
            start = time.process_time()
            try:
                return function(*args, **named)
            finally:
                spent = time.process_time() - start
                self.seconds[stage] += spent - self._within
                self._within = outside + spent

        setattr(owner, name, timed)


@dataclass
class Measured:
    """A set of clips, worked through."""

    clips: list[Path] = field(default_factory=list)
    video_seconds: float = 0.0
    core_seconds: float = 0.0
    decoding_seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    naive_speed: float = 0.0
    every: int = 1

    @property
    def speed(self) -> float:
        return self.video_seconds / self.core_seconds


def decode_only(path: Path) -> None:
    """The least there is to do: the frames that the pipeline decodes, and nothing with them."""
    for _ in ChunkDecoder(path, Chunk(0, None, None), 1 / (2 * AnalysisSettings().samples_per_second)):
        pass


def watched() -> Stopwatch:
    """A stopwatch on every stage; what it does not see is decoding."""
    stopwatch = Stopwatch()
    for owner, name, stage in (
        (FaceDetector, "within", "detect newcomers"),
        (FaceDetector, "near", "detect known"),
        (AutoDetector, "within", "detect newcomers"),
        (AutoDetector, "near", "detect known"),
        (AutoDetector, "judge", "judge"),
        (CutFinder, "is_cut", "cuts"),
        (Frame.__dict__["thumbnail"], "func", "cuts"),
        (TrackContinuity, "holds", "continuity"),
        (BestFaces, "offer", "crop"),
        (BestFaces, "faces", "crop"),
        (face_tracking, "cut_crop", "crop"),
        (face_tracking, "align", "encode"),
        (face_tracking, "encode_faces", "encode"),
    ):
        stopwatch.watch(owner, name, stage)
    return stopwatch


def run_pipeline(
    paths: Sequence[Path], models: Models, settings: AnalysisSettings
) -> tuple[dict[str, Measured], list[Answer]]:
    """The sets of clips with their costs, and who was found."""
    stopwatch = watched()
    sets: dict[str, Measured] = {}
    found: dict[str, list[Track]] = {}
    for path in paths:
        stopwatch.seconds.clear()
        start = time.process_time()
        duration, results = work(path, models, settings)
        spent = time.process_time() - start
        found[path.name] = tracks(results)
        one = sets.setdefault("short clips" if duration < SHORT else path.name, Measured())
        one.clips.append(path)
        one.video_seconds += duration
        one.core_seconds += spent
        stopwatch.seconds["decode and the rest"] = spent - sum(stopwatch.seconds.values())
        for stage, seconds in stopwatch.seconds.items():
            one.stages[stage] = one.stages.get(stage, 0.0) + seconds
        start = time.process_time()
        decode_only(path)
        one.decoding_seconds += time.process_time() - start
    return sets, people(found)


def run_naive(sets: dict[str, Measured], every: int | None, frames: int) -> list[Answer]:
    """The usual script on the same clips; fills in its speed, returns who it found."""
    script = NaiveScript()
    answers: list[Answer] = []
    for one in sets.values():
        one.every = every or max(1, round(one.video_seconds * FRAME_RATE / frames))
        video = cost = 0.0
        for path in one.clips:
            result = script.watch(path, one.every)
            video, cost = video + result.video_seconds, cost + result.core_seconds
            for seen in result.seen:
                x, y = (seen.left + seen.right) / 2, (seen.top + seen.bottom) / 2
                answers.append(Answer(seen.clip, seen.person, seen.time, x, y))
        one.naive_speed = video / cost
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--every", type=int)
    parser.add_argument("--naive-frames", type=int, default=40)
    parser.add_argument("--detector", choices=["auto", "hog", "cnn"], default="auto")
    parser.add_argument("--only", help="names, joined by commas")
    args = parser.parse_args()
    only = args.only.split(",") if args.only else None
    paths = sorted(path for path in args.clips.iterdir() if path.is_file() and (only is None or path.name in only))

    models = load_models(Settings().castlist_cache)
    sets, ours = run_pipeline(paths, models, settings_for(args.detector))
    theirs = run_naive(sets, args.every, args.naive_frames)

    print(f"seconds of video a core second; encoder {models.encoder.name}, detector {args.detector}")
    print(f"{'':28}{'usual script':>14}{'castlist':>10}{'ratio':>8}{'of the limit':>14}")
    for name, one in sets.items():
        limit = one.core_seconds / one.decoding_seconds
        print(
            f"{name:28}{one.naive_speed:14.3f}{one.speed:10.1f}{one.speed / one.naive_speed:7.0f}x{1 / limit:13.0%}"
            f"   every {one.every}. frame for the script"
        )
        shares = sorted(one.stages.items(), key=lambda item: -item[1])
        print("    " + ", ".join(f"{stage} {seconds / one.core_seconds:.0%}" for stage, seconds in shares))
    summary: dict[str, Any] = {"ratios": {name: round(one.speed / one.naive_speed, 1) for name, one in sets.items()}}
    if args.labels:
        labels, names = Labels.read(args.labels), [path.name for path in paths]
        summary["f"] = {"castlist": round(labels.f(ours, names), 4), "script": round(labels.f(theirs, names), 4)}
        print(f"B-cubed F: castlist {summary['f']['castlist']:.3f}, usual script {summary['f']['script']:.3f}")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
