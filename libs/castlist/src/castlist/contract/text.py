"""Text that people will see, cleaned where it comes in, whoever says it: names, ids of other systems, reasons."""

import unicodedata
from typing import TypeVar

T = TypeVar("T")
_JOINERS = "\u200c\u200d"  # several scripts, and many emoji, cannot be written without
_BREAKS = "\t\n\v\f\r\x85\u2028\u2029"


def printable(text: T) -> T:
    """`text` on one line and without what is not seen: control characters, marks that turn the direction of writing or
    have no width, characters that are none. What is no text is returned as it is, to be refused elsewhere."""
    if not isinstance(text, str) or text.isprintable():
        return text
    return "".join(map(_shown, text))  # type: ignore[return-value]


def folded(text: str) -> str:
    """`text` for looking it up, however it was typed: without case and accents, in any script that has them.

    Compatible forms are taken apart (NFKD), case is folded, and marks go: `Zoë` and `ZOE` are one, as are `Ёлка` and
    `елка`, `Straße` and `STRASSE`. White space is one space.
    """
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return " ".join(letters.split())


def _shown(letter: str) -> str:
    if letter in _BREAKS:
        return " "
    return letter if letter in _JOINERS or not unicodedata.category(letter).startswith("C") else ""
