"""What can be configured on query-api."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator

from castlist.service.public_addresses import Network, networks
from castlist.service.settings import Settings as Shared
from query_api.alerts.retry_policy import RetryPolicy


class Settings(Shared):
    """The shared settings, and query-api's own."""

    search_children: Annotated[
        int, Field(ge=1, le=64, description="pictures looked at at a time, each by a process of some 200 MB")
    ] = 1
    search_index_bytes: Annotated[
        int, Field(ge=0, description="memory for the indexes of galleries searched before, beside the one in use")
    ] = 512 * 2**20
    largest_picture_bytes: Annotated[int, Field(ge=1, description="larger pictures are refused with 413")] = 32 * 2**20
    webhook_networks: Annotated[
        str,
        Field(
            description="networks that webhooks may go to although they are not the Internet, as `10.0.0.0/8`, …; "
            "without TLS they go nowhere else"
        ),
    ] = ""
    webhook_patience: Annotated[
        float, Field(gt=0, description="seconds after which what a receiver did not take becomes a dead letter")
    ] = 24 * 3600.0

    @property
    def callable_networks(self) -> tuple[Network, ...]:
        """Networks that webhooks may go to although they are not the world's."""
        return networks(self.webhook_networks)

    @property
    def retry_policy(self) -> RetryPolicy:
        """When a delivery is tried again, and given up."""
        return RetryPolicy(patience=timedelta(seconds=self.webhook_patience))

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, told: str) -> str:
        networks(told)
        return told

    largest_archive_bytes: Annotated[int, Field(ge=1, description="larger archives are refused with 413")] = 64 * 2**30
