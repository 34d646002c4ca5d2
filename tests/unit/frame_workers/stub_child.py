"""A worker child that does what it is told, in place of reading videos: `stub_child.py PARENT`."""

import os
import signal
import sys
import time
from typing import Any

import psutil

from castlist.children.child_process import die_with, serve
from castlist.children.messages import JobMessage, JobRejectedError, Progress

held: list[bytes] = []
"""what outlives a job"""


def resident() -> int:
    """Bytes."""
    return psutil.Process().memory_info().rss


def job(order: JobMessage, progress: Progress) -> JobMessage:
    kept: list[Any] = []
    match order["do"]:
        case "echo":
            print("this must not get between the frames", flush=True)
        case "sleep":
            for step in range(int(order["seconds"] * 20)):
                time.sleep(0.05)
                progress(step / order["seconds"] / 20)
        case "burn":
            began = time.process_time()
            while time.process_time() - began < order["seconds"]:
                pass
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "refuse":
            raise JobRejectedError("not_a_video", "these are not the bytes of a video")
        case "bug":
            raise ZeroDivisionError("what nobody foresaw")
        case "grow":
            while True:
                kept.append(bytes(bytearray(os.urandom(1)) * 8_000_000))
                time.sleep(0.01)
        case "pictures":
            before = resident()
            for _ in range(5):
                pictures = []
                for _ in range(20):
                    pictures.append(b"x" * 2_000_000)
                    kept.append(b"x" * 100_000)  # what is found in one stays for longer, and lies behind it
                pictures.clear()
            return {"kept": sum(map(len, kept)), "grown": resident() - before}
        case "tear":
            before, blocks = resident(), [b"x" * 100_000 for _ in range(600)]
            held.append(blocks.pop())  # behind all the others
            return {"before": before}
        case "rest":
            return {"resident": resident()}
        case "garble":
            for fd in range(3, 10):
                if os.path.exists(f"/proc/self/fd/{fd}"):
                    os.write(fd, b"\xff" * 64)
    return {"pid": os.getpid(), "value": order.get("value")}


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    serve(lambda: ({"stub": True}, job))
