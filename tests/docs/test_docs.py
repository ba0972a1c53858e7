"""Tests of what the documentation says: every option and command is in it, and its examples run."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.option_table import FLAGS, OPTIONS, REPEATABLE
from im_callback.conformance.plugin import SWITCH
from im_callback.provider_mock import cli, providers

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
NAMES = [SWITCH, "--receiver-list", *(f"--receiver-{one[0]}" for one in (*OPTIONS, *REPEATABLE, *FLAGS))]
CONTEXT = click.Context(cli.main)


class TestReference:
    """The reference is complete, and speaks of nothing that is not there."""

    @pytest.mark.parametrize("name", NAMES)
    def test_option(self, name: str) -> None:
        """Every option of the plugin is described."""
        assert f"`{name}" in REFERENCE

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_no_option_invented(self, page: Path) -> None:
        """Every option that a page speaks of exists."""
        spoken = set(re.findall(r"--receiver-[a-z-]*[a-z]", page.read_text(encoding="utf-8")))
        assert set() == spoken - set(NAMES)

    @pytest.mark.parametrize("name", cli.main.list_commands(CONTEXT))
    def test_command(self, name: str) -> None:
        """Every command, and every option of it, is described."""
        assert f"`provider-mock {name}" in REFERENCE
        command = cli.main.get_command(CONTEXT, name)
        assert command is not None
        for parameter in command.params:
            for option in parameter.opts:
                # `check` has those of pytest, under names without `receiver-`.
                spelled = (f"`{option}", f"`--receiver-{option[2:]}") if name == "check" else (f"`{option}",)
                assert not option.startswith("--") or any(one in REFERENCE for one in spelled), option


class TestExamples:
    """What the pages name is there; what they show as typed is tested in test_pages.py."""

    def test_check_ids(self) -> None:
        """Check ids and patterns that the pages name match a check."""
        known = {
            check.id(one)
            for one in map(providers.load, providers.names())
            for check in all_checks(explored=True)
            if check.among(one.feeds)
        }
        spoken = {
            name
            for page in PAGES
            for name in re.findall(
                r"(?:commsease|rongcloud|tencent)\.[a-z]+\.[a-z0-9-]+", page.read_text(encoding="utf-8")
            )
        }
        assert spoken
        assert set() == spoken - known


class TestTone:
    """Text for people speaks of the project alone."""

    @pytest.mark.parametrize(
        "page", [*PAGES, *ROOT.glob("*.md"), *ROOT.glob("*/README.md")], ids=lambda page: page.name
    )
    def test_links(self, page: Path) -> None:
        """Relative links lead to files that are there."""
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), link
