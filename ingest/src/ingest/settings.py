"""What can be configured on ingest."""

from typing import Annotated

from pydantic import Field

from castlist.settings import Settings as Shared


class Settings(Shared):
    """The shared settings, and ingest's own."""

    max_upload_bytes: Annotated[int, Field(ge=1, description="uploads larger than this are refused with 413")] = (
        20 * 1024**3
    )
