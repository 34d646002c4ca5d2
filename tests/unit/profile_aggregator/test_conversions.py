"""From events to what identity computes with."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from castlist.contract.events import FacesEncoded
from castlist.contract.ids import crop_key
from profile_aggregator.videos.conversions import tracks_of
from testkit.examples import TRACK


@pytest.mark.parametrize("digest", ["", "0123456789abcdef"])
@pytest.mark.parametrize(
    "key", ["/evil.example/x.jpg", "//evil.example/x.jpg", "videos/theirs", "crops/other/1/0-0.jpg", "x"]
)
def test_where_a_crop_lies_is_not_believed(key: str, digest: str) -> None:
    """A forged result could name what is others', or another server: it follows from whose crop it is."""
    forged = replace(TRACK, track=7, crop=replace(TRACK.crop, key=key))
    found = FacesEncoded(
        event_id="e", occurred_at=datetime(2026, 1, 2, tzinfo=UTC), video_id="v", epoch=3, gallery="g", chunk=5,
        frames=1, tracks=(forged,), digest=digest,
    )  # fmt: skip
    (track,) = tracks_of(found)
    assert track.crop == replace(TRACK.crop, key=crop_key("v", 3, 5, 7, digest))
