"""The client reads what the services write: its models and theirs name the same fields."""

import pytest
from pydantic import BaseModel

from castlist import answers, events
from ingest import forms
from query_api import schemas


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (answers.Task, schemas.Task),
        (answers.TaskError, schemas.TaskError),
        (answers.TaskSettings, events.MatchSettings),
        (answers.Profile, schemas.Profile),
        (answers.Appearance, schemas.Appearance),
        (answers.Crop, schemas.CropView),
        (answers.Video, schemas.Video),
        (answers.GalleryState, schemas.Gallery),
        (answers.Accepted, forms.VideoAccepted),
    ],
)
def test_the_client_and_the_services_name_the_same_fields(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    """And where theirs may be null, ours may be."""
    said_by_status = {"began"}
    assert set(ours.model_fields) - said_by_status == set(theirs.model_fields)
    for name, field in theirs.model_fields.items():
        may_be_null = type(None) in getattr(field.annotation, "__args__", ())
        assert not may_be_null or type(None) in getattr(ours.model_fields[name].annotation, "__args__", ()), name
