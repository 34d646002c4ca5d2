"""`python child.py PARENT COMMAND…`: become COMMAND, as a process that the kernel kills when PARENT dies.

A program of its own and not a function between fork and exec, which may deadlock where the parent has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        sys.exit(f"child: prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("child: the supervisor died first")
    # A shell that starts us in the background ignores SIGINT, Python ignores SIGPIPE: neither is to be inherited.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as exc:
        sys.exit(f"child: {command[0]}: {exc.strerror}")


main()
