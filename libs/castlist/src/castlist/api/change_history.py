"""Changes by hand, and what became of each."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from castlist.api.examples import COMMAND, MADE, OTHER, PROFILE
from castlist.api.problems import ProblemDocument
from castlist.api.resource import MOST_CHANGED, EventId, Id, Page, Resource, Word
from castlist.contract.values import GalleryId, KeyName, Whole

MOST_DETAILS = 32
ERASURES = frozenset({"erase", "objection", "erase_video", "delete_gallery"})
"""Kinds of changes that are not through before they have a receipt."""


class Change(Resource):
    """Something that was changed by hand, and what became of it.

    `at`: when it was accepted, `by`: by whose key. `gallery_version` is the one it made; `profiles` are all that it
    changed, retired ones too; `detail` says more, by kind. `receipt`: of an erasure, what is gone, and what stays
    where for how many days. `error`: why it failed, as a problem.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": COMMAND, "gallery": "newsroom", "kind": "merge", "status": "applied", "by": None, "at": MADE,
                "gallery_version": 41, "profiles": [PROFILE, OTHER], "detail": {"into": PROFILE},
                "undone_by": None, "undoes": None, "receipt": None, "error": None,
            }
        }
    )  # fmt: skip

    id: EventId
    gallery: GalleryId
    kind: Word
    status: Literal["pending", "applied", "failed"]
    by: KeyName | None
    at: AwareDatetime
    gallery_version: Whole | None
    profiles: Annotated[list[Id], Field(max_length=MOST_CHANGED)]
    detail: Annotated[dict[Word, Any], Field(max_length=MOST_DETAILS)]
    undone_by: EventId | None
    undoes: EventId | None
    receipt: Annotated[dict[Word, Any] | None, Field(max_length=MOST_DETAILS)] = None
    error: ProblemDocument | None

    @property
    def final(self) -> bool:
        """Whether it is applied, an erasure with its receipt, or failed."""
        if self.status == "applied" and self.kind in ERASURES:
            return self.receipt is not None
        return self.status != "pending"


class ChangePage(Page[Change]):
    """Changes, the newest first."""
