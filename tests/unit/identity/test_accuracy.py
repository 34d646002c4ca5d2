"""The rules of identity on twenty sets of synthetic videos of `bench/`: right as they are, and worse without any."""

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

# Behind everything else: bench/ingest.py is not the service.
sys.path.append(str(Path(__file__).resolve().parents[3] / "bench"))

from identity import VIDEO, WITHOUT, Rules, Score, on_scenes
from scenes_of_people import Scenes

SETS = 20


pytestmark = pytest.mark.slow


@cache
def scenes() -> list[Scenes]:
    return [Scenes(seed) for seed in range(SETS)]


@cache
def as_it_is() -> Score:
    return on_scenes(scenes())(Rules())


def test_people_twins_and_junk_are_told_apart() -> None:
    """Tight and loose people, look-alikes seen together, and what only looks like a face."""
    assert as_it_is().f > 0.99
    assert as_it_is().precision > 0.999


@pytest.mark.parametrize(
    "rules",
    [
        WITHOUT["without variances"],
        WITHOUT["without a cap on them"],
        WITHOUT["without seen together"],
        WITHOUT["without a smallest width"],
        WITHOUT["without a lowest score"],
        WITHOUT["without a second sighting"],
        WITHOUT["with one face a track"],
        WITHOUT["one distance in and across"],
        Rules(across=0.40),
        Rules(across=0.54),
        Rules(replace(VIDEO, distance=0.6)),
        Rules(replace(VIDEO, min_width=60)),
    ],
    ids=str,
)
def test_each_rule_earns_its_place(rules: Rules) -> None:
    """Switched off, or its threshold moved, somebody more is taken for somebody else, or for two."""
    score = on_scenes(scenes())(rules)
    assert score.f < as_it_is().f - 0.0005 or score.precision < as_it_is().precision - 0.0005
