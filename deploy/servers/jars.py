"""Run by the tools' Python, which has jgo: fetch the jars named on stdin into the folder argv[1].

A line is `group:artifact:version`. The list is complete, so nothing is resolved: jgo only knows where jars come from
(Maven Central and the repositories of the user's own jgo settings, a mirror for instance).
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext


def main() -> int:
    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    context = MavenContext(repo_cache=Path(sys.argv[1]), remote_repos=repositories, timeout=60)

    def fetch(coordinate: str) -> str | None:
        group, artifact, version = coordinate.split(":")
        error = None
        for _ in range(3):
            try:
                context.project(group, artifact).at_version(version).artifact().resolve()
                return None
            except Exception as exc:
                error = f"ERROR: {artifact} {version}: {type(exc).__name__}: {exc}"
                for partial in Path(sys.argv[1]).joinpath(*group.split("."), artifact, version).glob("*.jar"):
                    partial.unlink()
        return error

    with ThreadPoolExecutor(8) as pool:
        errors = [error for error in pool.map(fetch, sys.stdin.read().split()) if error]
    for error in errors[:3]:
        print(error, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
