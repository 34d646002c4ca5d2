"""The process behind a slot: see `castlist.children.child_process`. Its roles are `plan` and `chunk`."""

from collections.abc import Callable
from typing import Any

from castlist.children.child_process import work
from castlist.children.messages import Job, JobMessage


def load(role: str, options: dict[str, Any]) -> tuple[JobMessage, Job]:
    """What a role needs, and does."""
    from frame_workers.slots import jobs

    roles: dict[str, Callable[[dict[str, Any]], tuple[JobMessage, Job]]] = {"plan": jobs.planner, "chunk": jobs.chunker}
    return roles[role](options)


if __name__ == "__main__":
    work(load)
