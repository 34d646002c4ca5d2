"""`python -m ingest`."""

import asyncio

from castlist.service.json_logging import configure
from ingest.app import run
from ingest.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    configure("ingest", settings.log_level)
    asyncio.run(run(settings))
