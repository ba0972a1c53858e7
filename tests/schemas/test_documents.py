"""The pages about the providers name the variants that the schemas have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from im_callback.schemas import catalogue
from im_callback.schemas.pointer import split

PAGES = Path(__file__).parents[2] / "docs" / "providers"


def page(provider: str) -> str:
    """Return the page about a provider."""
    return (PAGES / f"{provider}.md").read_text(encoding="utf-8")


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading row."""
    table = text.partition(heading)[2].partition("\n\n")[0]
    return [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| `")]


class TestVariants:
    """Tests for what the pages say of variants."""

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_table(self, provider: str) -> None:
        """The table names every event type with variants, and no other, with the fields that make them."""
        found = {
            name: set(re.findall("`([a-zA-Z]+)`", fields))
            for names, fields, _ in rows(page(provider), "| Event type | Variants by | Which |")
            for name in re.findall(f"`({provider}[^`]+)`", names)
        }
        types = [one for one in catalogue(provider) if one.variants]
        assert {one.name for one in types} == set(found)
        for one in types:
            # An item of a list is named together with the list.
            assert {token for pointer in one.variant_pointers for token in split(pointer) if token != "0"} == found[
                one.name
            ]

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud"])
    def test_all_are_named(self, provider: str) -> None:
        """The pages name every event type and every feed."""
        feeds = sorted((PAGES / provider).glob("*.md"))
        text = "\n".join([page(provider), *(one.read_text(encoding="utf-8") for one in feeds)])
        assert [] == [one.name for one in catalogue(provider) if f"`{one.name}`" not in text]
        assert [] == [one.feed for one in catalogue(provider) if f"`{one.feed}`" not in text]
