"""How many heaps a process has, by what glibc itself says."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
{before}
libc = ctypes.CDLL(None)
together = threading.Barrier(4)
def use():
    together.wait()
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=use) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""
SHARED = "from castlist.service.heap import share_one_heap; share_one_heap()"


def heaps(before: str) -> int:
    """Of a process with four threads, after it has done this."""
    words = [sys.executable, "-c", PROGRAM.format(before=before)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries keep other heaps")
def test_threads_share_the_heap_of_their_process() -> None:
    """Left to themselves they do not."""
    assert heaps(SHARED) == 1
    assert heaps("") > 1
