"""The process that looks at pictures: see `castlist.children.child_process`. Its role is `picture`."""

from typing import Any

from castlist.children.child_process import work
from castlist.children.messages import Job, JobMessage
from castlist.service.json_logging import configure


def load(role: str, options: dict[str, Any]) -> tuple[JobMessage, Job]:
    """What the role needs, and does."""
    from query_api.search.picture_job import picture

    configure("query-api", options["log_level"])
    return {"picture": picture}[role](options)


if __name__ == "__main__":
    work(load)
