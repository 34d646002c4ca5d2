"""What can be configured on query-api."""

from typing import Annotated

from pydantic import Field

from castlist.service.settings import Settings as Shared


class Settings(Shared):
    """The shared settings, and query-api's own."""

    search_children: Annotated[
        int, Field(ge=1, le=64, description="pictures looked at at a time, each by a process of some 200 MB")
    ] = 1
    search_index_bytes: Annotated[
        int, Field(ge=0, description="memory for the indexes of galleries searched before, beside the one in use")
    ] = 512 * 2**20
    largest_picture_bytes: Annotated[int, Field(ge=1, description="larger pictures are refused with 413")] = 32 * 2**20
