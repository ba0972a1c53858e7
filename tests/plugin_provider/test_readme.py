"""What the guide for packages says is so."""

from __future__ import annotations

import re
import sys

import pytest
from click.testing import CliRunner
from im_callback.conformance import check as checks
from im_callback.conformance import effects
from im_callback.conformance.check import all_checks
from im_callback.conformance.option_table import FLAGS, OPTIONS, REPEATABLE
from im_callback.conformance.plugin import SWITCH
from im_callback.provider_mock import cli, providers
from im_callback.provider_mock.contract import Feed, Provider
from im_callback.provider_mock.delivery import faults
from im_callback.provider_mock.traffic import world

from tests.plugin_provider.installed import ROOT, SOURCE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

README = (SOURCE / "README.md").read_text(encoding="utf-8")
ENTRIES = tomllib.loads((SOURCE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
TOPICS = {"application", "probe", "decision"}
"""Topics that not every feed has."""


def cells(heading: str) -> list[list[str]]:
    """Return the rows of the table with this first heading."""
    table = README[README.index(f"| {heading} |") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def test_groups() -> None:
    """Each group is there, is used by the example, and is one that is read."""
    read = {providers.GROUP, checks.GROUP, faults.GROUP, effects.GROUP, world.GROUP}
    assert read == set(ENTRIES) == {row[0].strip("`") for row in cells("group")}


def test_files() -> None:
    """Each file that is named is there, and is the one that the entry names."""
    for group, _, where in cells("group"):
        named = re.findall(r"`(acme_hooks/[a-z_./]+)`", where)
        assert named
        assert all((SOURCE / one).exists() for one in named)
        modules = {value.partition(":")[0].replace(".", "/") for value in ENTRIES[group.strip("`")].values()}
        assert modules <= {one.removesuffix("/__init__.py").removesuffix(".py") for one in named}


def test_attributes() -> None:
    """Each attribute of a feed that is explained is one."""
    named = {name for row in cells("attribute") for name in re.findall(r"`([a-z_]+)`", row[0])}
    assert {"parameters", "covers", "sources", "policies"} <= named
    assert named <= {*dir(Feed), *Feed.__annotations__}


def test_topics(acme: Provider) -> None:
    """Whatever topic a check has is explained, and the example's feed has all that every feed needs."""
    (row,) = (row for row in cells("attribute") if row[0] == "`sources`")
    named = set(re.findall(r"`([a-z]+)`", row[1])) - {"key"}
    assert {one.topic for one in all_checks()} <= named
    assert named - TOPICS == set(acme.feeds[0].sources)


def test_options() -> None:
    """No option is invented."""
    known = {SWITCH, "--receiver-list", *(f"--receiver-{one[0]}" for one in (*OPTIONS, *REPEATABLE, *FLAGS))}
    assert set(re.findall(r"--receiver-[a-z-]*[a-z]", README)) <= known


@pytest.mark.parametrize("typed", re.findall(r"^\$ provider-mock ([^|\n]+)", README, re.MULTILINE))
def test_commands(typed: str, acme: Provider) -> None:
    """What is shown as typed runs, as far as nobody has to be there."""
    result = CliRunner().invoke(cli.main, typed.replace("127.0.0.1:8080", "127.0.0.1:1").split())
    assert (1 if typed.startswith("send") else 0) == result.exit_code, result.output


def test_page() -> None:
    """The documentation has a page for each part, with every module of the example."""
    pages = [page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "plugins").glob("*.md"))]
    modules = sorted((SOURCE / "acme_hooks").glob("*.py"))
    assert modules
    assert [] == [one.name for one in modules if not any(one.read_text(encoding="utf-8") in page for page in pages)]
