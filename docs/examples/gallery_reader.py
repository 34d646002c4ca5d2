"""Keep a copy of a gallery from `profile.events`: each event once, in order, and nothing missing unseen.

reader, copy = GalleryReader(), GalleryCopy()
for event in messages:  # of one gallery, as JSON objects, in whatever order they come
    for one in reader.take(event):
        copy.apply(one)
reader.missing  # None, or after which (gallery_version, index) something has not come
"""

from typing import Any

Event = dict[str, Any]
CARD = ("external_id", "birth_date", "notes", "tags", "favourite", "hidden", "cover")


class GalleryReader:
    """The events of one gallery in order. `version`: that of the copy it begins with, 0 for none."""

    def __init__(self, version: int = 0) -> None:
        self._last: tuple[int, float] = (version, float("inf"))
        self._count: int | None = None
        self._waiting: dict[tuple[int, float], Event] = {}

    def take(self, event: Event) -> list[Event]:
        """What can be applied now that this one has come: nothing, or it and those that waited for it."""
        if "gallery_version" not in event:  # TaskFinished is no part of the gallery's history
            return []
        place = (event["gallery_version"], event["index"])
        if place > self._last:
            self._waiting[place] = event
        ready = []
        while self._waiting and self._follows(*(first := min(self._waiting.items()))):
            self._last, self._count = first[0], first[1].get("count")
            ready.append(self._waiting.pop(first[0]))
        return ready

    @property
    def missing(self) -> tuple[int, float] | None:
        """The place behind which something is missing that others wait for; read the topic again from there."""
        return self._last if self._waiting else None

    def _follows(self, place: tuple[int, float], event: Event) -> bool:
        if event.get("count") is None:  # of before 0.2.0: nothing can be told
            return True
        version, index = self._last
        if place[0] == version:
            return place[1] == index + 1
        whole = self._count is None or index + 1 == self._count
        return whole and place[1] == 0 and event["previous_version"] in (version, None)


class GalleryCopy:
    """Profiles with their names, cards and pictures, and who is where when: what query-api shows."""

    def __init__(self) -> None:
        self.profiles: dict[str, str | None] = {}
        self.cards: dict[str, Event] = {}
        self.appearances: dict[tuple[str, str], Event] = {}
        self.pictures: dict[tuple[str, str], Event] = {}

    def apply(self, event: Event) -> None:
        """The next event in order."""
        match event["event"]:
            case "ProfileCreated":
                self.profiles[event["profile_id"]] = None
            case "ProfileRenamed":
                self.profiles[event["profile_id"]] = event["name"]
            case "ProfileCardChanged":
                self.cards[event["profile_id"]] = {name: event[name] for name in CARD}
            case "ProfilesMerged":
                self._end(event["retired"])
            case "ProfileRemoved":
                self._end(event["profile_id"])
            case "PersonAppeared":
                place = event["profile_id"], event["video_id"]
                if event.get("part", 0):
                    before = self.appearances[place]
                    event = event | {name: [*before[name], *event[name]] for name in ("persons", "segments")}
                self.appearances[place] = event
            case "GalleryDeleted":
                for known in (self.profiles, self.cards, self.appearances, self.pictures):
                    known.clear()
            case "AppearanceRemoved":
                del self.appearances[event["profile_id"], event["video_id"]]
            case "PicturesAdded":
                self.pictures[event["profile_id"], event["enrolment_id"]] = event
            case "PicturesRemoved":
                del self.pictures[event["profile_id"], event["enrolment_id"]]

    def _end(self, profile_id: str) -> None:
        del self.profiles[profile_id]
        self.cards.pop(profile_id, None)
