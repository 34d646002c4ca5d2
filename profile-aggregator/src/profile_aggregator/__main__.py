"""`python -m profile_aggregator`."""

import asyncio

from castlist.logging import configure
from profile_aggregator.app import main
from profile_aggregator.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    configure("profile-aggregator", settings.log_level)
    asyncio.run(main(settings))
