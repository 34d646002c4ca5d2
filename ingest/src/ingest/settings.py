"""What can be configured on ingest."""

from typing import Annotated

from pydantic import Field

from castlist.adapters.s3 import PART
from castlist.service.settings import Settings as Shared

_MOST_PARTS = 10_000  # of one object, in S3


class Settings(Shared):
    """The shared settings, and ingest's own."""

    max_upload_bytes: Annotated[
        int, Field(ge=1, le=_MOST_PARTS * PART, description="uploads larger than this are refused with 413")
    ] = 20 * 1024**3
    upload_idle_seconds: Annotated[float, Field(gt=0, description="an upload that pauses for longer is given up")] = (
        60.0
    )
