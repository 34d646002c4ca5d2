"""The `ffmpeg` command of a pinned package: what it writes, and which pictures it shows when."""

import functools
import re
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 96, 64
"""What pictures are brought to before they are compared."""

_TIME_BASE = re.compile(r"\[\S+showinfo\S* @ \S+\] config in time_base: (\d+)/(\d+)")
_START = re.compile(r"^  Duration: \S+ start: (-?[0-9.]+)", re.MULTILINE)
_SHOWN = re.compile(r"\[\S+showinfo\S* @ \S+\] n: *\d+ pts: *(-?\d+|NOPTS) ")


class CommandError(Exception):
    """The command refused; its last words."""


@dataclass(frozen=True)
class Shown:
    """A picture and when it is shown, in seconds from the container's start or, without one, from the first picture;
    luma, HEIGHT × WIDTH.
    """

    time: float
    picture: NDArray[np.uint8]


@functools.cache
def command() -> str:
    """The one that was installed with the package, never the machine's or the environment's."""
    (binary,) = Path(str(resources.files("imageio_ffmpeg") / "binaries")).glob("ffmpeg-*")
    return str(binary)


def run(*words: str | Path, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run it; raises CommandError where it fails."""
    head = [command(), "-hide_banner", "-nostdin" if given is None else "-y", "-y", "-threads", "1"]
    done = subprocess.run([*head, *map(str, words)], input=given, capture_output=True, timeout=120)
    if done.returncode:
        raise CommandError(done.stderr.decode(errors="replace")[-600:])
    return done


def shown(path: Path, stream: int = 0, demuxer: str | None = None) -> list[Shown]:
    """Every picture that it decodes of the file's `stream`th video, turned as the file says, each once."""
    forced = [] if demuxer is None else ["-f", demuxer]
    look = f"showinfo=checksum=0,scale={WIDTH}:{HEIGHT}:flags=area,format=gray"
    output = ["-map", f"0:v:{stream}", "-fps_mode", "passthrough", "-vf", look, "-f", "rawvideo", "pipe:1"]
    done = run(*forced, "-copyts", "-i", path, *output)
    log = done.stderr.decode(errors="replace")
    base = _TIME_BASE.search(log)
    ticks = [int(found) for found in _SHOWN.findall(log)]
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, HEIGHT, WIDTH)
    if base is None or len(ticks) != len(pictures):
        raise CommandError(f"{len(pictures)} pictures, {len(ticks)} times")
    unit = Fraction(int(base[1]), int(base[2]))
    start = _START.search(log)
    begin = float(start[1]) if start else min((float(tick * unit) for tick in ticks), default=0.0)
    return [Shown(float(tick * unit) - begin, picture) for tick, picture in zip(ticks, pictures, strict=True)]
