"""How much longer plain clips take while another gallery sends files that are made to cost much.

    python bench/hostile.py [--files DIR] [--clips 9] [--at-once 8]

Two-second clips of two people, each of other bytes, go one after the other through a stack of their own: first alone,
then while so many hostile files are under way in another gallery, each replaced when its task ends. The files are those
of a folder, or a few that are made here: a clock that leaps by a million million seconds, 20 million pictures in 66 KB,
an animation of 8192x4352, pictures that grow to 16,000 in the square.

The clock runs from the answer to a clip's upload until its task is done. Resident memory of the workers' children, and
of the service itself, is looked at four times a second. The last line is one JSON object. Exits 1 where the median is
two seconds longer or more.
"""

import argparse
import contextlib
import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from machine import Pressure, at_rest, watched
from own_stack import own_stack

from testkit import hostile  # of the tests
from testkit.api import FINAL, Api, new_gallery
from testkit.clips import in_other_bytes, two_people, write
from testkit.running_stack import RunningStack

PROMISE = 2.0
MB = 1024 * 1024


class Attack:
    """Hostile files in a gallery of theirs, so many at once, for as long as it runs."""

    def __init__(self, api: Api, files: dict[str, bytes], folder: Path, at_once: int) -> None:
        self.ended: Counter[str] = Counter()
        self._api, self._files, self._folder = api, itertools.cycle(files.items()), folder
        self._gallery, self._at_once = new_gallery("hostile"), at_once
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Attack":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        running: dict[str, str] = {}
        while not self._over.is_set():
            while len(running) < self._at_once:
                name, data = next(self._files)
                answer = self._api.upload(in_other_bytes(data, self._folder / name), self._gallery)
                if answer.status_code == 202:
                    running[answer.json()["task_id"]] = name
                else:
                    self.ended[f"{name}: refused with {answer.status_code}"] += 1
            time.sleep(0.2)
            for task_id in list(running):
                task = self._api.task(task_id)
                if task["status"] in FINAL:
                    code = f", {task['error']['code']}" if task["error"] else ""
                    self.ended[f"{running.pop(task_id)}: {task['status']}{code}"] += 1


class Memory:
    """Peaks of resident memory as far as it was looked at, in MB."""

    def __init__(self, stack: RunningStack) -> None:
        self.child = self.service = self.together = 0.0
        self._service = psutil.Process(stack.pid("frame-workers"))

    def look(self) -> None:
        """Once."""
        children = [_resident(child) for child in self._service.children()]
        self.child = max(self.child, *children, 0.0)
        self.service = max(self.service, _resident(self._service))
        self.together = max(self.together, sum(children) + _resident(self._service))


def _resident(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_info().rss) / MB
    return 0.0


def took(api: Api, clip: bytes, folder: Path, count: int) -> list[float]:
    """Seconds for each of so many clips."""
    seconds = []
    for number in range(count):
        accepted = api.submit(in_other_bytes(clip, folder / f"plain-{number}.mp4"), new_gallery("plain"))
        began = time.monotonic()
        while (task := api.task(accepted["task_id"]))["status"] not in FINAL:
            time.sleep(0.05)
        if task["status"] != "done":
            raise SystemExit(f"a plain clip {task['status']}: {task['error']}")
        seconds.append(time.monotonic() - began)
    return seconds


def measure(stack: RunningStack, files: dict[str, bytes], clip: bytes, clips: int, at_once: int) -> dict[str, Any]:
    """Both passes; the table, and what is to be kept of it."""
    api = Api(stack)
    rows, peaks = {}, {}
    with tempfile.TemporaryDirectory(prefix="castlist-bench-hostile-") as name:
        folder = Path(name)
        took(api, clip, folder, 2)  # to warm it up
        with contextlib.ExitStack() as inside:
            for row in ("alone", "beside hostile files"):
                if row != "alone":
                    attack = inside.enter_context(Attack(api, files, folder, at_once))
                    time.sleep(3)  # until they are at work
                pressure, memory = Pressure(), Memory(stack)
                with watched(memory.look):
                    rows[row] = took(api, clip, folder, clips)
                peaks[row] = memory
                print(f"{row}: {pressure}", flush=True)
    print(f"{'seconds':24}{'median':>8}{'worst':>8}{'child MB':>10}{'service MB':>12}{'together MB':>13}")
    for row, seconds in rows.items():
        peak = peaks[row]
        print(
            f"{row:24}{statistics.median(seconds):8.2f}{max(seconds):8.2f}"
            f"{peak.child:10.0f}{peak.service:12.0f}{peak.together:13.0f}"
        )
    for ended, count in sorted(attack.ended.items()):
        print(f"{count:4} {ended}")
    alone, beside = map(statistics.median, rows.values())
    return {
        "alone": [round(one, 2) for one in rows["alone"]],
        "beside": [round(one, 2) for one in rows["beside hostile files"]],
        "longer": round(beside - alone, 2),
        "child_mb": round(peaks["beside hostile files"].child),
        "ended": attack.ended,
        "kept": beside - alone < PROMISE,
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=Path, help="a folder of hostile files; default: some that are made here")
    parser.add_argument("--clips", type=int, default=9)
    parser.add_argument("--at-once", type=int, default=8)
    asked = parser.parse_args()
    before = at_rest()
    print(before, flush=True)
    files = {path.name: path.read_bytes() for path in sorted(asked.files.iterdir())} if asked.files else hostile.files()
    with tempfile.TemporaryDirectory(prefix="castlist-bench-clips-") as name:
        clip = write(Path(name) / "clip.mp4", two_people(1.0)).read_bytes()
    with own_stack("hostile", 2) as stack:
        figures = measure(stack, files, clip, asked.clips, asked.at_once)
    print(
        f"a plain clip takes {figures['longer']:.2f} s longer: the promise is {'kept' if figures['kept'] else 'BROKEN'}"
    )
    print(json.dumps({"before": before, **figures}))
    sys.exit(0 if figures["kept"] else 1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
