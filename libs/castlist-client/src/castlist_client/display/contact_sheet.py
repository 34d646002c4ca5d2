"""Writes a gallery's contact sheet: one HTML file with its pictures in it, whole or not at all."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from castlist.api.appearances import Appearance
from castlist.api.profiles import Profile
from castlist_client.client import Client, ForeignAddressError, NotFoundError
from castlist_client.display import contact_sheet_html
from castlist_client.display.formatting import most_seen_first

_CROPS_AT_ONCE = 8


@dataclass(frozen=True)
class ContactSheet:
    """What was written, and how many crops were gone before they could be fetched."""

    path: Path
    people: int
    videos: int
    crops: int
    missing: int


async def write(client: Client, gallery: str, out: Path, progress: Callable[[int, int], None]) -> ContactSheet:
    """The people of `gallery` into `out`, those seen longest first. `progress` gets people done, and all people.

    One person's pictures are held in memory at a time. OSError if the file cannot be written.
    """
    people = most_seen_first([profile async for profile in client.profiles(gallery)])
    videos = {video.id: video async for video in client.videos(gallery)}
    appearances = sum(profile.video_count for profile in people)
    crops = missing = 0
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(contact_sheet_html.head(gallery, len(people), len(videos), appearances, datetime.now(UTC)))
            for done, profile in enumerate(people):
                progress(done, len(people))
                everywhere = await _appearances(client, profile)
                pictures = await _pictures(client, everywhere)
                crops += len(pictures)
                missing += len(everywhere) - len(pictures)
                file.write(contact_sheet_html.person(profile, everywhere, pictures, videos))
            file.write(contact_sheet_html.TAIL)
        part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return ContactSheet(out, len(people), len(videos), crops, missing)


async def _appearances(client: Client, profile: Profile) -> list[Appearance]:
    """All of them: a profile shows the newest alone."""
    if profile.video_count <= len(profile.appearances):
        return list(profile.appearances)
    return [appearance async for appearance in client.appearances(profile.id)]


async def _pictures(client: Client, appearances: Sequence[Appearance]) -> dict[str, bytes]:
    """The crops by their URL, without those that a re-clustering has replaced since and those of other servers."""
    slots = asyncio.Semaphore(_CROPS_AT_ONCE)

    async def fetch(url: str) -> tuple[str, bytes | None]:
        async with slots:
            try:
                return url, await client.crop(url)
            except (NotFoundError, ForeignAddressError):
                return url, None

    fetched = await asyncio.gather(*(fetch(appearance.crop.url) for appearance in appearances if appearance.crop))
    return {url: picture for url, picture in fetched if picture is not None}
