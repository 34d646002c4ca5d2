"""What people write today: every frame, face_recognition at its defaults, the first known face within 0.6.

    python bench/naive.py --clips DIR [--every N]

Prints how many seconds of video one core gets through in a second. `--every N` looks at every N-th frame only and
counts each look N times, so that hours of measuring become minutes; every frame is decoded all the same.
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import face_recognition
import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.6


@dataclass
class Seen:
    """The first face of a person in a clip."""

    person: int
    clip: str
    time: float
    left: float
    top: float
    right: float
    bottom: float
    """As fractions of the frame."""


@dataclass
class NaiveResult:
    """`core_seconds` is what every frame would have cost."""

    video_seconds: float = 0.0
    core_seconds: float = 0.0
    looks: int = 0
    seen: list[Seen] = field(default_factory=list)


class NaiveScript:
    """Knows everybody seen so far, in any clip."""

    def __init__(self) -> None:
        self.known: list[NDArray[np.float64]] = []

    def watch(self, clip: Path, every: int = 1) -> NaiveResult:
        """Go through a clip frame by frame, as the examples of face_recognition do."""
        result = NaiveResult()
        here: set[int] = set()
        start = time.process_time()
        video = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        rate = video.get(cv2.CAP_PROP_FPS) or 25.0
        frame_number = 0
        looking = 0.0
        while True:
            decoded, bgr = video.read()
            if not decoded:
                break
            if frame_number % every == every // 2:
                begun = time.process_time()
                picture = np.ascontiguousarray(bgr[:, :, ::-1])
                locations = face_recognition.face_locations(picture)
                encodings = face_recognition.face_encodings(picture, locations)
                for (top, right, bottom, left), encoding in zip(locations, encodings, strict=True):
                    matches = face_recognition.compare_faces(self.known, encoding, TOLERANCE)
                    person = matches.index(True) if True in matches else len(self.known)
                    if person == len(self.known):
                        self.known.append(encoding)
                    if person not in here:
                        here.add(person)
                        height, width = picture.shape[:2]
                        at = (left / width, top / height, right / width, bottom / height)
                        result.seen.append(Seen(person, clip.name, frame_number / rate, *at))
                looking += time.process_time() - begun
                result.looks += 1
            frame_number += 1
        decoding = time.process_time() - start - looking
        result.video_seconds = frame_number / rate
        result.core_seconds = decoding + (looking / result.looks * frame_number if result.looks else 0.0)
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    script = NaiveScript()
    total = NaiveResult()
    for clip in sorted(path for path in args.clips.iterdir() if path.is_file()):
        one = script.watch(clip, args.every)
        print(f"{clip.name:30} {one.video_seconds:7.1f} s  {one.video_seconds / one.core_seconds:6.3f} x real time")
        total.video_seconds += one.video_seconds
        total.core_seconds += one.core_seconds
    ratio = total.video_seconds / total.core_seconds
    print(f"{len(script.known)} people, {ratio:.3f} seconds of video a core second (every {args.every} frames)")


if __name__ == "__main__":
    main()
