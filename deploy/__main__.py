"""Entry of `python3 deploy`. Runs on any Python 3, so that an old one gets a sentence instead of a traceback."""

import os
import shutil
import sys

SUPPORTED = [(3, 11), (3, 12), (3, 13)]


def main() -> int:
    if sys.version_info[:2] not in SUPPORTED:
        for major, minor in SUPPORTED:
            other = shutil.which("python%d.%d" % (major, minor))  # noqa: UP031
            if other:
                os.execv(other, [other, *sys.argv])
        sys.stderr.write("deploy: needs Python 3.11, 3.12 or 3.13, this is %d.%d\n" % sys.version_info[:2])  # noqa: UP031
        return 2
    # The folder itself comes first on sys.path here; its modules are a package, so that none hides another library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from deploy.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
