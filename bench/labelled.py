"""Clips whose people are known: who is in which part of the picture at which time, and how well an answer agrees."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from castlist.contract.box import Box
from castlist.contract.values import Crop, FrameSize
from castlist_identity.domain import Track

IGNORED = "ignored"


@dataclass(frozen=True)
class Answer:
    """Somebody in a clip: `person` is whatever tells apart those who were found, x and y are fractions of the frame."""

    clip: str
    person: object
    time: float
    x: float
    y: float

    @classmethod
    def of_crop(cls, clip: str, person: object, crop: Crop) -> Self:
        """Where the face of a crop was."""
        box, frame = crop.box, crop.frame
        return cls(
            clip, person, crop.time, (box.left + box.width / 2) / frame.width, (box.top + box.height / 2) / frame.height
        )


class Labels:
    """{"clips": {name: {"people": [{"person", "box"?, "time"?}], "ignore": [{"box"?, "time"?}]}}}, in fractions."""

    def __init__(self, clips: Mapping[str, Any]) -> None:
        self._clips = clips

    @classmethod
    def read(cls, path: Path) -> "Labels":
        return cls(json.loads(path.read_text())["clips"])

    def person(self, answer: Answer) -> str | None:
        """Whose region an answer lies in; IGNORED where nobody knows, None where nobody is."""
        clip = self._clips[answer.clip]
        for slack in (0.0, 0.05):
            for region in clip["people"]:
                if _holds(region, answer, slack):
                    return str(region["person"])
        return IGNORED if any(_holds(region, answer, 0.05) for region in clip.get("ignore", [])) else None

    def places(self, clip: str, time: float, width: int, height: int) -> list[Box]:
        """Where in a frame of this size somebody is at this time."""
        there = [one for one in self._clips[clip]["people"] if _shown(one, time)]
        corners = [one.get("box", (0, 0, 1, 1)) for one in there]
        return [
            Box(round(x0 * width), round(y0 * height), round((x1 - x0) * width), round((y1 - y0) * height))
            for x0, y0, x1, y1 in corners
        ]

    def expected(self, clips: Iterable[str]) -> set[tuple[str, str]]:
        """(clip, person) for everybody who is in these clips."""
        return {(clip, region["person"]) for clip in clips for region in self._clips[clip]["people"]}

    def f(self, answers: Sequence[Answer], clips: Iterable[str]) -> float:
        """B-cubed F1 of answers grouped by person."""
        precision, recall = self.b_cubed(answers, clips)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    def b_cubed(self, answers: Sequence[Answer], clips: Iterable[str]) -> tuple[float, float]:
        """B-cubed precision and recall of answers grouped by person; who was not found counts against recall."""
        found = [(answer, self.person(answer)) for answer in answers]
        items = [(answer.person, person) for answer, person in found if person not in (None, IGNORED)]
        missing = self.expected(clips) - {(answer.clip, person) for answer, person in found if person is not None}
        if not items:
            return 0.0, 0.0
        truth = [person for _, person in items] + [person for _, person in missing]
        hits = [(sum(one == item for one in items), item) for item in items]
        precision = sum(n / sum(found == item[0] for found, _ in items) for n, item in hits) / len(items)
        recall = sum(n / truth.count(item[1]) for n, item in hits) / len(truth)
        return precision, recall


def frame_of(tracks: Sequence[Track]) -> FrameSize:
    """That of a clip, as its crops say; of a clip without any, one that is large enough."""
    return next((one.crop.frame for one in tracks if one.crop is not None), FrameSize(1920, 1080))


def _shown(region: Mapping[str, Any], time: float) -> bool:
    start, end = region.get("time", (0, 1e9))
    return bool(start <= time < end)


def _holds(region: Mapping[str, Any], answer: Answer, slack: float) -> bool:
    left, top, right, bottom = region.get("box", (0, 0, 1, 1))
    start, end = region.get("time", (0, 1e9))
    inside = left <= answer.x <= right and top <= answer.y <= bottom
    return inside and bool(start - slack <= answer.time < end + slack)
