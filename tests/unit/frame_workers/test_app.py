"""The wiring of frame-workers, as far as it can be seen without servers."""

import pytest
from prometheus_client import REGISTRY

from castlist.children.child import Child
from castlist.service.metrics import ENCODER
from frame_workers.app import busy_limit, show_encoders
from frame_workers.settings import Settings
from frame_workers.slots.pool import Pool


@pytest.fixture
def pool() -> Pool:
    """Two slots, and the one that is lent, whose children have not started."""
    return Pool(2, ["nobody"])


def shown() -> dict[tuple[str, str], float]:
    """(encoder, provider) → value, as /metrics has them."""
    (found,) = (family for family in REGISTRY.collect() if family.name == "castlist_encoder_info")
    return {(one.labels["encoder"], one.labels["provider"]): one.value for one in found.samples}


def say(child: Child, encoder: str) -> None:
    child.facts = {"pid": 1, "encoder": encoder}


def test_the_metrics_show_what_the_children_encode_with_now(pool: Pool) -> None:
    """One that comes back with another encoder takes the former one with it, unless others are left that use it."""
    ENCODER.clear()
    one, other, _ = pool.children
    say(one, "onnx-cuda")
    show_encoders(pool)
    assert shown() == {("onnx", "cuda"): 1.0}
    say(other, "onnx-cuda")
    say(one, "onnx-cpu")
    show_encoders(pool)
    assert shown() == {("onnx", "cuda"): 1.0, ("onnx", "cpu"): 1.0}
    say(other, "dlib")
    show_encoders(pool)
    assert shown() == {("dlib", "cpu"): 1.0, ("onnx", "cpu"): 1.0}


def test_nothing_that_keeps_within_its_bounds_is_taken_for_stuck() -> None:
    """A plan gives no sign of life until it ends, or is ended."""
    settings = Settings(job_seconds=50_000.0)
    assert busy_limit(settings) > settings.job_seconds
