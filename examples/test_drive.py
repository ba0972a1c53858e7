"""The mock is driven from other languages: the commands of the example's README, as they stand, in their order."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from im_callback.conformance.mock_process import server

from tests.commands import typed
from tests.programs import needed
from tests.provider_mock.peers import OK, peer

EXAMPLE = Path(__file__).parent / "drive"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command of the README printed; all of them ended well."""
    needed("bash", "curl", "node", "npm", "mvn", "javac")
    folder = tmp_path_factory.mktemp("drive")
    ignored = shutil.ignore_patterns("node_modules", "generated", "generator", "built", "jars")
    shutil.copytree(EXAMPLE, folder / "example", ignore=ignored)
    commands = re.findall(r"^\$ (.*)$", (EXAMPLE / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    with peer(OK) as receiver, server(folder) as mock:
        return typed(commands, folder / "example", {"MOCK": mock.url, "RECEIVER": receiver.url})


def of(said: dict[str, str], part: str) -> str:
    """Return what the command with this part has printed."""
    return next(text for command, text in said.items() if part in command)


@pytest.mark.xdist_group("drive")
def test_typescript(said: dict[str, str]) -> None:
    """The event is sent twice and taken once; what does not hold is explained."""
    assert {
        "holds": True,
        "outcomes": ["unreachable", "acked"],
        "differences": [{"field": "state", "wanted": "dropped", "found": "acked"}],
    } == json.loads(of(said, "built/drive.js").splitlines()[-1])


@pytest.mark.xdist_group("drive")
def test_java(said: dict[str, str]) -> None:
    """The same."""
    expected = ["holds: true", "attempt: unreachable", "attempt: acked", "state is acked, not dropped"]
    assert expected == of(said, " Drive ").splitlines()
