"""`python -m profile_aggregator`."""

import asyncio
import os

from castlist.service.heap import share_one_heap
from castlist.service.json_logging import configure
from profile_aggregator.settings import Settings

if __name__ == "__main__":
    # Before numpy is loaded. More threads would wait for each other on cores that are busy with frames.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from profile_aggregator.app import main

    share_one_heap()
    settings = Settings()
    configure("profile-aggregator", settings.log_level)
    asyncio.run(main(settings))
