"""A clip in seventeen other encodings: what a video may have been through before it is uploaded."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from testkit.ffmpeg_command import command

_DARK = "lutyuv=y=16+(val-16)/2:u=128+(val-128)/2:v=128+(val-128)/2"


def _x264(crf: int, *words: str) -> Sequence[str]:
    return (*words, "-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf))


def _by_quality(codec: str, q: int) -> Sequence[str]:
    return ("-c:v", codec, "-q:v", str(q))


ENCODINGS: Mapping[str, Sequence[str]] = {
    **{f"H.264 crf {crf}": _x264(crf) for crf in (23, 28, 33, 38)},
    **{f"MPEG-4 q {q}": _by_quality("mpeg4", q) for q in (3, 6, 8, 10)},
    **{f"MJPEG q {q}": ("-pix_fmt", "yuvj420p", *_by_quality("mjpeg", q)) for q in (4, 8, 12)},
    "half the size": _x264(23, "-vf", "scale=trunc(iw/4)*2:trunc(ih/4)*2"),
    "10 fps": _x264(23, "-r", "10"),
    "half the light": _x264(23, "-vf", _DARK),
    "grey": _x264(23, "-vf", "format=gray,format=yuv420p"),
    "VP9 at 150 kbit/s": ("-c:v", "libvpx-vp9", "-b:v", "150k", "-deadline", "realtime", "-cpu-used", "8"),
    "HEVC crf 36": (
        "-c:v",
        "libx265",
        "-preset",
        "veryfast",
        "-crf",
        "36",
        "-x265-params",
        "log-level=error:pools=none",
    ),
}


def encoded(clip: Path, encoding: str, to: Path) -> None:
    """Write the clip's pictures so, without sound. Raises CalledProcessError."""
    head = [command(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-threads", "1", "-i", str(clip)]
    how = [*ENCODINGS[encoding], "-an", "-sn", "-threads", "1"]
    subprocess.run([*head, "-map", "0:v:0", *how, str(to)], check=True)
