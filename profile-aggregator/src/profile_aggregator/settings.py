"""What can be configured on the aggregator."""

from typing import Annotated

from pydantic import Field

from castlist.service.settings import Settings as Shared


class Settings(Shared):
    """The shared settings, and the aggregator's own."""

    aggregator_instance: Annotated[
        str, Field(description="static Kafka member id of this aggregator; two processes must not share one")
    ] = "0"
    aggregator_session_timeout: Annotated[
        float, Field(ge=6, description="seconds after which Kafka gives a silent aggregator's work to another")
    ] = 10.0
    commit_batch: Annotated[int, Field(ge=1, le=100, description="videos committed in one transaction, at most")] = 50
    reannounce_after: Annotated[
        float, Field(gt=0, description="seconds without progress after which an open task's work is announced again")
    ] = 30.0
