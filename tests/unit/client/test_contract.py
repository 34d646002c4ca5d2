"""The client reads what the services write: its models and theirs name the same fields."""

import pytest
from pydantic import BaseModel

from castlist.api import resources
from castlist.contract import values
from ingest import video_details
from query_api import schemas


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (resources.Task, schemas.Task),
        (resources.TaskError, schemas.TaskError),
        (resources.TaskSettings, values.MatchSettings),
        (resources.Profile, schemas.Profile),
        (resources.Appearance, schemas.Appearance),
        (resources.Crop, schemas.CropView),
        (resources.Video, schemas.Video),
        (resources.GalleryState, schemas.Gallery),
        (resources.Accepted, video_details.VideoAccepted),
    ],
)
def test_the_client_and_the_services_name_the_same_fields(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    """And where theirs may be null, ours may be."""
    said_by_status = {"began"}
    assert set(ours.model_fields) - said_by_status == set(theirs.model_fields)
    for name, field in theirs.model_fields.items():
        may_be_null = type(None) in getattr(field.annotation, "__args__", ())
        assert not may_be_null or type(None) in getattr(ours.model_fields[name].annotation, "__args__", ()), name
