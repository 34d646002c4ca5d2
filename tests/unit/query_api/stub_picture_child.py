"""A child that does what a picture says, in place of looking at it: `stub_picture_child.py PARENT`."""

import os
import signal
import sys
import time
from pathlib import Path

from castlist.children.child_process import die_with, serve
from castlist.children.messages import JobMessage, JobRejectedError, Progress


def job(order: JobMessage, _: Progress) -> JobMessage:
    kept: list[bytes] = []
    match Path(order["path"]).read_bytes().strip():
        case b"empty":
            return {"faces": [], "frame": {"width": 8, "height": 8}}
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"grow":
            while True:
                kept.append(bytes(bytearray(os.urandom(1)) * 8_000_000))
                time.sleep(0.01)
        case b"hang":
            time.sleep(600)
        case b"slow":
            time.sleep(0.3)
            return {"faces": [], "frame": {"width": 8, "height": 8}}
        case b"bug":
            raise ZeroDivisionError("what nobody foresaw")
        case b"nonsense":
            return {"faces": [{"box": "everywhere"}]}
        case code:
            raise JobRejectedError(code.decode(), "A sentence.")
    return {}


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    serve(lambda: ({}, job))
