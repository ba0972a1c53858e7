"""The schemas are of use in other languages: the commands of their example's README, as they stand, in their order."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from im_callback import schemas

from tests.commands import typed
from tests.programs import needed

EXAMPLE = Path(__file__).parent / "schemas"
PROVIDERS = ("commsease", "rongcloud", "tencent")


def commands() -> list[str]:
    """Return what the README types."""
    return re.findall(r"^\$ (.*)$", (EXAMPLE / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def said(shop: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command printed, by its first word; all of them ended well."""
    needed("bash", "node", "npm", "mvn", "javac")
    folder = tmp_path_factory.mktemp("schemas") / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "generated", "built", "jars"))
    return typed(commands(), folder, shop)


def of(said: dict[str, str], beginning: str) -> str:
    """Return what the command that begins so has printed."""
    return next(text for command, text in said.items() if command.startswith(beginning))


@pytest.mark.xdist_group("schemas")
def test_ajv(said: dict[str, str]) -> None:
    """Ajv takes every documented sample, and refuses each without a field that is required."""
    catalogues = [schemas.catalogue(name) for name in PROVIDERS]
    found = json.loads(of(said, "node validate.js"))
    assert sum(map(len, catalogues)) == found["eventTypes"]
    assert sum(len(one.examples) for every in catalogues for one in every) == found["samples"]
    assert found["refused"] > found["samples"]


@pytest.mark.xdist_group("schemas")
def test_typescript(said: dict[str, str]) -> None:
    """All types compile, strictly; a sample is read through them, and a value that the schema forbids is an error."""
    sample = schemas.catalogue("commsease")["commsease.login"].examples[0]
    found = json.loads(of(said, "npx tsc"))
    assert (sample["accid"], sample["clientType"]) == (found["accid"], found["clientType"])


@pytest.mark.xdist_group("schemas")
def test_java(said: dict[str, str]) -> None:
    """The classes compile; samples go in and come out whole."""
    sample = schemas.catalogue("commsease")["commsease.login"].examples[0]
    assert f"{sample['accid']} {sample['clientType']}" == of(said, "java -cp").splitlines()[0]
