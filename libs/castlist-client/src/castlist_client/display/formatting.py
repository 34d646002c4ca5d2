"""How the client words what it shows: moments, people, tasks. Pure; used by the tables and by the contact sheet."""

from collections.abc import Iterable, Sequence

from castlist.api.appearances import Appearance
from castlist.api.change_history import Change
from castlist.api.profiles import Profile
from castlist.api.tasks import Task
from castlist.contract.values import Segment

_FINE_BELOW = 600.0


def moment(seconds: float) -> str:
    """A time in a video as a player shows it: `0:04.2`, from ten minutes on `12:07`, `1:02:03`."""
    tenths = round(max(seconds, 0.0) * 10)
    if tenths < _FINE_BELOW * 10:
        return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
    whole = tenths // 10
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def span(segment: Segment) -> str:
    """`0:04.2–0:09.0`; a segment too short to have an end is one moment."""
    start, end = moment(segment.start), moment(segment.end)
    return start if start == end else f"{start}–{end}"


def moments(segments: Sequence[Segment], most: int | None = None) -> str:
    """All segments; with `most`, the first so many and how many more there are."""
    shown = segments if most is None or len(segments) <= most else segments[: most - 1]
    rest = len(segments) - len(shown)
    return ", ".join(map(span, shown)) + (f" and {rest} more" if rest else "")


def length(seconds: float) -> str:
    """For how long: `0.8 s`, `48 s`, `3 min 20 s`, `1 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def count(number: int, one: str, more: str | None = None) -> str:
    """`1 video`, `2 videos`, `2 people`."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def person_label(profile: Profile) -> str:
    """The person's name, or as much of the id as tells people apart."""
    return printable(profile.name) if profile.name else profile.id[:8]


def most_seen_first(people: Iterable[Profile]) -> list[Profile]:
    """Whom we saw in most videos, then for longest."""

    def seen(profile: Profile) -> tuple[int, float, str]:
        return -profile.video_count, -sum(appearance.seconds for appearance in profile.appearances), profile.id

    return sorted(people, key=seen)


def by_video(appearances: Sequence[Appearance]) -> list[Appearance]:
    """By video, so that two people's rows can be compared."""
    return sorted(appearances, key=lambda appearance: (appearance.video_name, appearance.video_id))


def outcome(task: Task) -> str:
    """How a task stands, in a few words."""
    if task.status == "done":
        nobody = "nobody in it, but faces that are too small" if task.faces_skipped.get("too_small") else "nobody in it"
        found = nobody if task.people == 0 else count(task.people or 0, "person", "people")
        return " · ".join(["done", found, *(printable(one.code) for one in task.warnings)])
    if task.status == "processing":
        left = f" · {length(task.eta_seconds)} left" if task.eta_seconds else ""
        return f"{task.progress:.0%}{left}"
    if task.status == "failed" and task.error is not None:
        return f"failed · {printable(task.error.message)} ({task.error.code})"
    return task.status


def printable(text: str) -> str:
    """Text that others chose, without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def preview_text(change: Change) -> str:
    """What a dry run of settings has found, line by line."""
    detail = change.detail
    lines = [
        f"{count(detail['profiles']['now'], 'person', 'people')} would be {detail['profiles']['then']}, "
        f"with a distance of {detail['distance']['then']:g} in the place of {detail['distance']['now']:g}"
    ]
    lines += ["would be one: " + " ".join(profiles) for profiles in detail["merged"]]
    lines += [f"would be {one['into']}: {one['profile']}" for one in detail["split"]]
    unnamed = detail["merges"] - len(detail["merged"]), detail["splits"] - len(detail["split"])
    if any(unnamed):
        lines.append(f"and {unnamed[0]} more that would merge, {unnamed[1]} more that would split")
    due = detail["retention"]
    if due["videos"] or due["people"]:
        lines.append(
            f"older than it would be kept: {count(due['videos'], 'video')}, {count(due['people'], 'person', 'people')}"
        )
    return "\n".join(lines)
