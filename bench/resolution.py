"""What a 4K video costs beyond its decoding, against the same video in 1080p.

    python bench/resolution.py --clip FILE [--seconds 10] [--rounds 3]

The clip is written anew at both heights, at one quality. Of each round both are worked through in turn; the middle
round counts. The last line is one JSON object.
"""

import argparse
import json
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
from stages import Models, load_models, settings_for, tracks, work
from throughput import decode_only

from castlist.service.settings import Settings
from castlist_identity.videos.video_people import people_of_video

HEIGHTS = (1080, 2160)


def written(source: Path, target: Path, height: int, seconds: float) -> Path:
    """The first seconds of a video, scaled to a height."""
    with av.open(str(source)) as media, av.open(str(target), "w") as out:
        coming = media.streams.video[0]
        rate = Fraction(coming.average_rate or 25)
        stream: Any = out.add_stream("libx264", rate, options={"preset": "veryfast", "crf": "23"})
        stream.height, stream.width = height, round(coming.width * height / coming.height / 2) * 2
        stream.pix_fmt = "yuv420p"
        for number, frame in zip(range(round(seconds * rate)), media.decode(coming), strict=False):
            scaled = frame.reformat(stream.width, height, "yuv420p", interpolation="BICUBIC")
            scaled.pts, scaled.time_base = number, 1 / rate
            out.mux(stream.encode(scaled))
        out.mux(stream.encode(None))
    return target


def cost(path: Path, models: Models) -> tuple[float, float, int]:
    """Core seconds a second of video: beyond decoding, of decoding; and how many people are found."""
    start = time.process_time()
    seconds, results = work(path, models, settings_for("auto"))
    whole = time.process_time() - start
    start = time.process_time()
    decode_only(path)
    decoding = time.process_time() - start
    return (whole - decoding) / seconds, decoding / seconds, len(people_of_video(tracks(results)).people)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    models = load_models(Settings().castlist_cache)
    beyond: dict[int, list[float]] = {height: [] for height in HEIGHTS}
    with tempfile.TemporaryDirectory() as folder:
        paths = {height: written(args.clip, Path(folder) / f"{height}.mp4", height, args.seconds) for height in HEIGHTS}
        for _ in range(args.rounds):
            for height, path in paths.items():
                more, decoding, people = cost(path, models)
                beyond[height].append(more)
                costs = f"{1000 * more:.0f} ms a second beyond {1000 * decoding:.0f} of decoding"
                print(f"{height} lines: {costs}, {people} people", flush=True)
    ratio = median(beyond[HEIGHTS[1]]) / median(beyond[HEIGHTS[0]])
    print(f"4K costs {ratio:.2f} times what 1080p costs, beyond decoding")
    print(json.dumps({"ratio": round(ratio, 2)}))


if __name__ == "__main__":
    main()
