"""The rules of identity on synthetic videos of `bench/`: exact as they are, and not without any of them."""

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

# Behind everything else: bench/ingest.py is not the service.
sys.path.append(str(Path(__file__).resolve().parents[3] / "bench"))

from identity import VIDEO, WITHOUT, Rules, on_scenes
from scenes_of_people import Scenes


@cache
def scenes() -> list[Scenes]:
    return [Scenes(seed) for seed in (0, 1, 4)]


def test_people_twins_and_junk_are_told_apart_exactly() -> None:
    """Tight and loose people, look-alikes seen together, and what only looks like a face."""
    score = on_scenes(scenes())(Rules())
    assert (score.precision, score.recall) == (1.0, 1.0)


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
        Rules(across=0.44),
        Rules(across=0.54),
        Rules(replace(VIDEO, min_width=60)),
    ],
    ids=str,
)
def test_each_rule_earns_its_place(rules: Rules) -> None:
    """Switched off, or its threshold moved, somebody is taken for somebody else, or for two."""
    assert on_scenes(scenes())(rules).f < 0.998
