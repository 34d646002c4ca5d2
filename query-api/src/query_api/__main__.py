"""`python -m query_api`."""

import asyncio
import os

# Before numpy is loaded: a second thread makes no search faster, and spins after each of them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from castlist.service.json_logging import configure
from query_api.app import run
from query_api.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    configure("query-api", settings.log_level)
    asyncio.run(run(settings))
