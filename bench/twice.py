"""One person twice in a picture, and two people: how far apart their tracks are, and who is found.

    python bench/twice.py --clips DIR --labels FILE [--seconds 6]

Split screens are made of the clips that show one person: everybody beside their own mirror image, beside themselves
0.4 s later, and beside everybody else, in three qualities. Last come twins, from the synthetic videos in which they are
each other's nearest: how many pairs of them are found as two. The last line is one JSON object.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import av
import numpy as np
from identity import Rules, on_scenes
from numpy.typing import NDArray
from scenes_of_people import Scenes
from stages import Models, load_models, settings_for, tracks, work

from castlist.service.settings import Settings
from castlist_identity.videos.told_apart import ToldApart
from castlist_identity.videos.video_people import PeopleSettings, people_of_video

Picture = NDArray[np.uint8]
RATE, DELAY = 25, 10
ENCODINGS = {"crf 23": 23, "crf 33": 33, "crf 38": 38}
LIMITS = (0.0, 0.2, 0.26, 0.28, 0.30, 0.32, 0.34, 0.36, 0.38)


def alone(labels: dict[str, Any]) -> dict[str, tuple[str, tuple[float, float]]]:
    """Of each clip with one person in it: who it is, and between which fractions of the width they are."""
    return {
        name: (clip["people"][0]["person"], (box[0], box[2]))
        for name, clip in labels.items()
        if len(clip["people"]) == 1 and "time" not in clip["people"][0] and (box := clip["people"][0].get("box"))
    }


def pictures(path: Path, part: tuple[float, float], seconds: float) -> list[Picture]:
    """The first seconds of that part of a clip."""
    with av.open(str(path)) as media:
        frames = zip(range(round(seconds * RATE)), media.decode(video=0), strict=False)
        whole = [frame.to_ndarray(format="rgb24") for _, frame in frames]
    return [picture[:, int(part[0] * picture.shape[1]) : int(part[1] * picture.shape[1])] for picture in whole]


def split_screen(path: Path, left: Sequence[Picture], right: Sequence[Picture], crf: int) -> Path:
    """Both beside each other, for as long as the shorter lasts."""
    with av.open(str(path), "w") as media:
        stream: Any = media.add_stream("libx264", RATE, options={"crf": str(crf), "preset": "veryfast"})
        for number, (one, other) in enumerate(zip(left, right, strict=False)):
            both = np.concatenate([one, other], axis=1)
            if number == 0:
                stream.height, stream.width = both.shape[0] // 2 * 2, both.shape[1] // 2 * 2
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(both), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            media.mux(stream.encode(frame.reformat(stream.width, stream.height, "yuv420p")))
        media.mux(stream.encode(None))
    return path


def measured(path: Path, models: Models) -> tuple[list[float], int]:
    """How far apart each pair of tracks is that is seen together; and how many people are found."""
    found = sorted(tracks(work(path, models, settings_for("auto"))[1]), key=lambda track: (track.chunk, track.index))
    rules = PeopleSettings()
    strong = [t for t in found if t.faces and len(t.sightings) >= rules.min_sightings]
    means = [np.mean([face.encoding for face in t.faces], axis=0) for t in strong]
    together = ToldApart(strong, means, -1)
    pairs = [(i, int(j)) for i in range(len(strong)) for j in together.others(i) if i < j]
    return [float(np.linalg.norm(means[i] - means[j])) for i, j in pairs], len(people_of_video(found).people)


def screens(clips: Path, labels: dict[str, Any], seconds: float) -> Iterator[tuple[str, list[Picture], list[Picture]]]:
    """(kind, left, right) of each split screen."""
    shown = {name: (who, pictures(clips / name, part, seconds)) for name, (who, part) in alone(labels).items()}
    for _, mine in shown.values():
        yield "mirrored", mine, [picture[:, ::-1] for picture in mine]
        yield "later", mine[:-DELAY], mine[DELAY:]
    first = dict(reversed(shown.values()))
    for one, other in combinations(first.values(), 2):
        yield "two people", one, other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=6)
    args = parser.parse_args()
    models = load_models(Settings().castlist_cache)
    results: dict[str, Any] = {}
    made = list(screens(args.clips, json.loads(args.labels.read_text())["clips"], args.seconds))
    print(f"{'':24}{'screens':>8}{'right':>7}   distances of tracks seen together")
    with tempfile.TemporaryDirectory() as folder:
        for name, crf in ENCODINGS.items():
            for kind in ("mirrored", "later", "two people"):
                expected, distances, right = 2 if kind == "two people" else 1, [], 0
                chosen = [(left, right) for what, left, right in made if what == kind]
                for left, beside in chosen:
                    pairs, people = measured(split_screen(Path(folder) / "screen.mp4", left, beside, crf), models)
                    distances += pairs
                    right += people == expected
                low, middle, high = np.quantile(distances, [0, 0.5, 1]).round(3).tolist()
                results[f"{name}, {kind}"] = {"screens": len(chosen), "right": right, "distances": [low, middle, high]}
                print(f"{name}, {kind:14}{len(chosen):8}{right:7}   {low:.3f} … {middle:.3f} … {high:.3f}", flush=True)
    score = on_scenes([Scenes(seed) for seed in range(5)])
    print("\nF of synthetic videos with twins, by the distance up to which two in one frame may be one")
    twins = {limit: score(Rules(replace(PeopleSettings(), twice=limit))).f for limit in LIMITS}
    print("  " + "  ".join(f"{limit}: {f:.3f}" for limit, f in twins.items()))
    print(json.dumps({**results, "twins": {str(limit): round(f, 4) for limit, f in twins.items()}}))


if __name__ == "__main__":
    main()
