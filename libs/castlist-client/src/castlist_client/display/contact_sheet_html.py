"""The contact sheet's HTML, piece by piece: a row a person, a crop a video. Pure.

Everything that comes from outside goes through `escape`; a policy in the page forbids scripts and the network besides.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files

from castlist.api.appearances import Appearance
from castlist.api.profiles import Profile
from castlist.api.videos import Video
from castlist_client.display.formatting import by_video, count, length, moment, person_label, span

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SEGMENTS_SHOWN = 12


def head(gallery: str, people: int, videos: int, appearances: int, made: datetime) -> str:
    """Everything before the first person."""
    style = files("castlist_client.display").joinpath("contact_sheet.css").read_text("utf-8")
    facts = [count(people, "person", "people"), count(videos, "video"), count(appearances, "appearance")]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="castlist">\n'
        f"<title>{escape(gallery)} · who is in these videos</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<header>\n<p class="kicker">Contact sheet</p>\n<h1>{escape(gallery)}</h1>\n'
        f'<p class="facts">{" <i>·</i> ".join(facts)}</p>\n'
        f'<p class="made"><time datetime="{made.isoformat()}">{made:%Y-%m-%d %H:%M} UTC</time></p>\n</header>\n<main>\n'
        + ("" if people else '<p class="nobody">Nobody was found in this gallery yet.</p>\n')
    )


def person(
    profile: Profile, appearances: Sequence[Appearance], pictures: Mapping[str, bytes], videos: Mapping[str, Video]
) -> str:
    """One row. `pictures` maps a crop's URL to its JPEG; one that is missing leaves an empty frame."""
    seen = sum(appearance.seconds for appearance in appearances)
    kind = "named" if profile.name else "unnamed"
    cards = "".join(
        _card(appearance, pictures, videos.get(appearance.video_id)) for appearance in by_video(appearances)
    )
    return (
        f'<section id="{escape(profile.id)}">\n<div class="who"><h2 class="{kind}">{escape(person_label(profile))}</h2>'
        f"<p>{count(len(appearances), 'video')} <i>·</i> {length(seen)}</p>"
        f'<p class="id">{escape(profile.id)}</p></div>\n<ol class="videos">\n{cards}</ol>\n</section>\n'
    )


TAIL = "</main>\n</body>\n</html>\n"


def _card(appearance: Appearance, pictures: Mapping[str, bytes], video: Video | None) -> str:
    name, crop = escape(appearance.video_name), appearance.crop
    picture = pictures.get(crop.url) if crop else None
    if crop and picture:
        source = f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}"
        at = moment(crop.time)
        face = f'<img src="{source}" alt="Face at {at}" loading="lazy" decoding="async"><span class="at">{at}</span>'
    else:
        face = '<span class="missing">no picture</span>'
    return (
        f'<li><figure><div class="face">{face}</div>'
        f'<figcaption><b title="{name}">{name}</b>{_timeline(appearance, video)}{_moments(appearance)}'
        f"</figcaption></figure></li>\n"
    )


def _timeline(appearance: Appearance, video: Video | None) -> str:
    """When in the video, as a bar as long as the video."""
    whole = max((video.duration if video else None) or 0.0, appearance.last_seen, 0.001)
    parts = "".join(
        f'<i style="left:{100 * part.start / whole:.2f}%;width:{100 * (part.end - part.start) / whole:.2f}%"></i>'
        for part in appearance.segments
    )
    label = f"{length(appearance.seconds)} of {length(whole)}"
    return f'<span class="bar" role="img" aria-label="{label}" title="{label}">{parts}</span>'


def _moments(appearance: Appearance) -> str:
    shown = appearance.segments
    if len(shown) > _SEGMENTS_SHOWN:
        shown = shown[: _SEGMENTS_SHOWN - 1]
    rest = len(appearance.segments) - len(shown)
    items = "".join(f"<li>{span(segment)}</li>" for segment in shown)
    return f'<ul class="moments">{items}{f"<li>and {rest} more</li>" if rest else ""}</ul>'
