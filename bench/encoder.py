"""The encoder in ONNX Runtime against dlib's own: how far apart they lie on real faces, and what a face costs each.

    python bench/encoder.py --clips DIR [--only a.mp4,b.mkv]

The faces are those that the pipeline encodes of the clips, aligned; mirror images where it takes those, too.
Distances are Euclidean, over the 128 numbers. Milliseconds are of one core, on one thread each, turn by turn over the
same batches, with the models loaded. The last line is one JSON object.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when the libraries are loaded

import numpy as np
from numpy.typing import NDArray
from stages import Models, settings_for, work

from castlist.service.settings import Settings
from castlist_vision.faces.centerface import CenterFace
from castlist_vision.faces.encoder import AGREEMENT, DlibEncoder, Encoder, check_chip
from castlist_vision.faces.onnx_encoder import OnnxEncoder
from castlist_vision.frames.geometry import Colour

BATCH = 8


class Listening:
    """An encoder that keeps the faces it was given."""

    def __init__(self, encoder: Encoder) -> None:
        self.name, self._encoder = encoder.name, encoder
        self.faces: list[Colour] = []

    def encode(self, chips: Sequence[Colour]) -> NDArray[np.float32]:
        self.faces += chips
        return self._encoder.encode(chips)


def timed(encoder: Encoder, faces: Sequence[Colour]) -> tuple[NDArray[np.float32], float]:
    """The encodings, and the core seconds they took."""
    start = time.process_time()
    encodings = encoder.encode(faces)
    return encodings, time.process_time() - start


def compare(faces: Sequence[Colour], one: Encoder, other: Encoder) -> tuple[NDArray[np.float64], float, float]:
    """How far apart each face's encodings lie, and the core seconds of each encoder."""
    apart: list[float] = []
    ours = theirs = 0.0
    for start in range(0, len(faces), BATCH):
        batch = faces[start : start + BATCH]
        (encodings, spent), (expected, spent_too) = timed(one, batch), timed(other, batch)
        apart += np.linalg.norm(encodings - expected, axis=1).tolist()
        ours, theirs = ours + spent, theirs + spent_too
    return np.array(apart), ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--only", help="names, joined by commas")
    args = parser.parse_args()
    only = args.only.split(",") if args.only else None
    paths = sorted(path for path in args.clips.iterdir() if path.is_file() and (only is None or path.name in only))

    encoder, reference = OnnxEncoder(Settings().castlist_cache), DlibEncoder()
    centerface = CenterFace(Settings().castlist_cache)
    compare([check_chip()], encoder, reference)  # the first picture costs more than the others
    print(f"{encoder.name} against {reference.name}, Euclidean distance; the two agree up to {AGREEMENT:.0e}")
    print(f"{'':28}{'faces':>8}{'largest':>10}{'mean':>10}")
    distances: list[NDArray[np.float64]] = []
    ours = theirs = 0.0
    for path in paths:
        listening = Listening(encoder)
        work(path, Models(listening, centerface), settings_for("auto"))
        if not listening.faces:
            print(f"{path.name:28}{0:8}")
            continue
        apart, spent, spent_too = compare(listening.faces, encoder, reference)
        print(f"{path.name:28}{len(apart):8}{apart.max():10.1e}{apart.mean():10.1e}")
        distances.append(apart)
        ours, theirs = ours + spent, theirs + spent_too
    if not distances:
        raise SystemExit("no face was found in any of them")
    every = np.concatenate(distances)
    ms = {name: 1000 * seconds / len(every) for name, seconds in ((encoder.name, ours), (reference.name, theirs))}
    print(f"{'all':28}{len(every):8}{every.max():10.1e}{every.mean():10.1e}")
    print(f"{ms[encoder.name]:.1f} ms a face against {ms[reference.name]:.1f}, on one thread: {theirs / ours:.1f}x")
    summary: dict[str, Any] = {
        "faces": len(every),
        "largest": float(every.max()),
        "mean": float(every.mean()),
        "ms": {name: round(one, 2) for name, one in ms.items()},
        "ratio": round(theirs / ours, 1),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
