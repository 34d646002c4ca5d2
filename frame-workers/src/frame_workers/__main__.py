"""`python -m frame_workers`."""

import asyncio

from castlist.service.json_logging import configure
from frame_workers.app import run
from frame_workers.settings import Settings


def main() -> None:
    """Entry point."""
    settings = Settings()
    configure("frame-workers", settings.log_level)
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
