"""Text that came over the network, as it is safe to show: what is taken for a command, or not seen, as escapes."""

from __future__ import annotations

import unicodedata

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn")
"""Categories of what a terminal takes for a command, or does not show."""


def visible(text: str) -> str:
    """Return the text with control characters, lone surrogates and what turns its direction as escapes.

    Line breaks and tabs stay. What joins emoji (U+200D, U+FE0F) is no harm to anyone, and stays too.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in "\n\t\u200d" or unicodedata.category(character) not in HIDDEN:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
