"""What parent and children say to each other, whatever the job: messages, and why there is no result.

It goes as JSON and not as pickle, because a child reads hostile bytes: an attacker who took it over must not get
further than its process. The parent checks what comes back against its models.
"""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

JobMessage = dict[str, Any]
Progress = Callable[[float], None]
Job = Callable[[JobMessage, Progress], JobMessage]


class GarbledMessageError(Exception):
    """What came is not a message."""


class JobRejectedError(Exception):
    """The job cannot be done, and never will be: `code` as in a task's error, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JobModel(BaseModel):
    """A job or a result."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    def message(self) -> JobMessage:
        """As it goes over the pipe."""
        return self.model_dump(mode="json")
