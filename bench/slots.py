"""What a second worker slot brings, and what memory a slot takes: a long video through a stack of its own.

    python bench/slots.py --clip FILE [--minutes 10] [--rounds 1] [--hour]

The clip is repeated, without encoding it again, until it has so many minutes; a stack with WORKERS=1 works it through,
then one with WORKERS=2. The clock runs from the first chunk's start to the last chunk's end as frame-workers log them
(`chunk_processed`: when it ended, and how long it took): uploading, probing and committing happen once, whatever the
slots. Of several rounds the fastest counts.

`slots busy` is how much of that time a slot had a chunk: below 100 %, work is handed out too slowly. `core s` is CPU
of the slots for a second of video, `wall s` what its chunks took: where wall exceeds core, slots wait for a core that
another process has; where core itself grows with the second slot, they share caches, memory or one physical core.
`core s, rest` is that of services and servers, which share the two cores; the line below says whose, in cores. From
these the most follows that a second slot could bring on this machine if no other process were on it.

Resident memory of each slot is looked at once a second; with `--hour` also over an hour of video with two slots. It
counts as flat if the median of the second half is no more than 5 % above that of the first. The last line is one JSON
object. Exits 1 where 1.8 times, 450 MB or flatness is not reached.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from machine import Pressure, at_rest
from own_stack import own_stack

from testkit.api import FINAL, Api, new_gallery  # of the tests
from testkit.clips import repeat
from testkit.running_stack import RunningStack

TWICE, MOST_MB, FLAT = 1.8, 450.0, 1.05
MB = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    """Resident MB of one slot over a run."""

    peak: float
    first_half: float
    second_half: float
    samples: int

    @classmethod
    def of(cls, samples: list[float]) -> "Memory":
        half = len(samples) // 2
        first, second = (statistics.median(part or samples) for part in (samples[:half], samples[half:]))
        return cls(max(samples), first, second, len(samples))

    @property
    def kept(self) -> bool:
        return self.peak <= MOST_MB and self.second_half <= FLAT * self.first_half


@dataclass(frozen=True)
class Run:
    """One pass over the video."""

    slots: int
    chunks: int
    video_seconds: float
    seconds: float
    busy_seconds: float
    core_seconds: float
    rest: dict[str, float]
    memory: list[Memory]

    def line(self) -> str:
        busy, per = self.busy_seconds / (self.slots * self.seconds), self.video_seconds
        return (
            f"{self.slots:5}{self.seconds:9.2f}{self.video_seconds / self.seconds:14.1f}{busy:12.1%}"
            f"{self.core_seconds / per:10.4f}{self.busy_seconds / per:10.4f}{sum(self.rest.values()) / per:14.4f}\n"
            f"{'':5}  cores: slots {self.core_seconds / self.seconds:.2f}"
            + "".join(f", {name} {spent / self.seconds:.2f}" for name, spent in self.rest.items())
        )


HEADER = (
    f"{'slots':>5}{'seconds':>9}{'video s/s':>14}{'slots busy':>12}{'core s':>10}{'wall s':>10}{'core s, rest':>14}"
)


def work_through(stack: RunningStack, slots: int, video: Path) -> Run:
    """Upload, watch, and read from the log how it went."""
    api = Api(stack)
    accepted = api.submit(video, new_gallery("bench"))
    resident: defaultdict[int, list[float]] = defaultdict(list)
    spent: list[tuple[float, dict[str, float]]] = []
    while True:
        spent.append((time.time(), core_seconds(stack)))
        for child in stack.slots():
            resident[child.pid].append(child.memory_info().rss / MB)
        task = api.task(accepted["task_id"])
        if task["status"] in FINAL:
            break
        time.sleep(1)
    if task["status"] != "done":
        raise SystemExit(f"the task {task['status']}: {task['error']}")
    if not slots <= len(resident) <= slots + 1:  # one that is lent to other galleries may stand by
        raise SystemExit(f"{len(resident)} processes worked in {slots} slots: some died")
    memory = sorted(map(Memory.of, resident.values()), key=lambda one: -one.peak)[:slots]
    chunks = [
        said for said in stack.logged("frame-workers", "chunk_processed") if said["video"] == accepted["video_id"]
    ]
    began, ended = min(chunk["at"] - chunk["took"] for chunk in chunks), max(chunk["at"] for chunk in chunks)
    cores = {name: at(spent, ended, name) - at(spent, began, name) for name in spent[0][1]}
    return Run(
        slots=slots,
        chunks=len(chunks),
        video_seconds=sum(chunk["seconds"] for chunk in chunks),
        seconds=ended - began,
        busy_seconds=sum(chunk["took"] for chunk in chunks),
        core_seconds=cores.pop("slots"),
        rest=cores,
        memory=memory,
    )


def core_seconds(stack: RunningStack) -> dict[str, float]:
    """CPU spent so far, by process; that of the slots together as `slots`."""
    rows = stack.processes().items()
    spent = {name: _spent(psutil.Process(row["pid"])) for name, row in rows if row["pid"]}
    return {**spent, "slots": sum(map(_spent, stack.slots()))}


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def most(one: Run, two: Run) -> float:
    """How many times as fast two slots could be on as many cores as there are, shared with nothing but the rest."""
    cores = len(os.sched_getaffinity(0))
    alone = max(one.core_seconds, (one.core_seconds + sum(one.rest.values())) / cores)
    together = max(two.core_seconds / 2, (two.core_seconds + sum(two.rest.values())) / cores)
    return alone / together


def at(spent: list[tuple[float, dict[str, float]]], moment: float, name: str) -> float:
    """What a process had spent at a moment between two looks."""
    return float(np.interp(moment, [when for when, _ in spent], [by_name[name] for _, by_name in spent]))


def show_memory(title: str, run: Run) -> None:
    """One line a slot."""
    for number, one in enumerate(run.memory, 1):
        print(
            f"{title}, slot {number} of {run.slots}: at most {one.peak:.0f} MB; median {one.first_half:.0f} MB in the "
            f"first half, {one.second_half:.0f} MB in the second ({one.samples} samples): "
            f"{'kept' if one.kept else 'BROKEN'}"
        )


def measure(folder: Path, asked: argparse.Namespace) -> tuple[dict[int, Run], Run | None]:
    """The fastest run for each number of slots, and the hour."""
    video = repeat(asked.clip, folder / f"clip{asked.clip.suffix}", 60 * asked.minutes)
    hour = repeat(asked.clip, folder / f"hour{asked.clip.suffix}", 3600) if asked.hour else None
    best: dict[int, Run] = {}
    long: Run | None = None
    print(HEADER, flush=True)
    for slots in (1, 2):
        with own_stack("slots", slots) as stack:
            work_through(stack, slots, asked.clip)  # servers that have just started are still compiling themselves
            for _ in range(asked.rounds):
                pressure = Pressure()
                run = work_through(stack, slots, video)
                print(f"{run.line()}\n{'':5}  {pressure}", flush=True)
                best[slots] = min(best.get(slots, run), run, key=lambda one: one.seconds)
            if hour is not None and slots == 2:
                long = work_through(stack, slots, hour)
                print(f"{long.line()}   an hour", flush=True)
    return best, long


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--hour", action="store_true", help="memory over an hour of video too")
    asked = parser.parse_args()
    before = at_rest()
    print(before)
    with tempfile.TemporaryDirectory(prefix="castlist-bench-clips-") as folder:
        best, long = measure(Path(folder), asked)
    ratio = best[1].seconds / best[2].seconds
    print(f"two slots are {ratio:.2f} times as fast as one: {'kept' if ratio >= TWICE else 'BROKEN'}")
    print(f"by core seconds, {most(best[1], best[2]):.2f} times at most with the servers on the same cores")
    runs = [(f"{asked.minutes:g} minutes", run) for run in best.values()] + ([("an hour", long)] if long else [])
    for title, run in runs:
        show_memory(title, run)
    kept = ratio >= TWICE and all(one.kept for _, run in runs for one in run.memory)
    figures: dict[str, Any] = {"clip": asked.clip.name, "minutes": asked.minutes, "before": before, "kept": kept}
    figures |= {"ratio": round(ratio, 3), "most": round(most(best[1], best[2]), 3)}
    figures["runs"] = [_rounded(asdict(run)) for _, run in runs]
    print(json.dumps(figures))
    sys.exit(0 if kept else 1)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 3) if isinstance(value, float) else value


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
