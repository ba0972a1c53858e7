"""The unit for systemd is one, shuts the server in, and starts it with options that there are."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import requests
from im_callback.provider_mock import providers
from im_callback.provider_mock.commands.serve import ANSWER_SECONDS
from im_callback.provider_mock.server.service import UPKEEP_SECONDS

from tests.operating.exposed import FOLDER
from tests.programs import needed
from tests.provider_mock_server.running import running

UNIT = FOLDER / "provider-mock.service"
TEXT = UNIT.read_text(encoding="utf-8")
EXPOSURE = 20
"""The most that `systemd-analyze security` may find, in tenths: 100 is a service that is not shut in at all."""
LEDGER_SECONDS = 10.0
"""The ledger's patience with its database."""


def service() -> ConfigParser:
    """Return the settings; of those that stand there twice, the last."""
    parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(TEXT)
    return parser


def analyzed(folder: Path, text: str, *arguments: str) -> tuple[int, str]:
    """Return what systemd-analyze ends with for a unit, and what it prints."""
    needed("systemd-analyze")
    file = folder / UNIT.name
    # The program is elsewhere here.
    file.write_text(text.replace("/opt/provider-mock/bin/provider-mock", sys.executable), encoding="utf-8")
    ran = subprocess.run(
        ["systemd-analyze", *arguments, str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout


def test_verify(tmp_path: Path) -> None:
    """Systemd has nothing to say of it."""
    assert (0, "") == analyzed(tmp_path, TEXT, "verify", "--man=no")


def test_verify_says_something(tmp_path: Path) -> None:
    """It does of a setting that there is not."""
    _, told = analyzed(tmp_path, TEXT.replace("ProtectHome=", "ProtectHouse="), "verify", "--man=no")
    assert "'ProtectHouse'" in told


@pytest.mark.parametrize(("text", "status"), [(TEXT, 0), (TEXT.replace("\nCapabilityBoundingSet=\n", "\n"), 1)])
def test_security(text: str, status: int, tmp_path: Path) -> None:
    """It is shut in as far as a server can be that calls receivers."""
    found, told = analyzed(tmp_path, text, "security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager")
    assert status == found, told


def test_stops_in_time() -> None:
    """What is under way has the time to land that the server gives it, before systemd ends it the hard way."""
    deadline = max(feed.deadline for name in providers.names() for feed in providers.load(name).feeds)
    longest = ANSWER_SECONDS + deadline + UPKEEP_SECONDS + 2 * LEDGER_SECONDS
    assert longest < float(service()["Service"]["TimeoutStopSec"])


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folder that stands for the system's root after the commands at the head of the unit; the program is elsewhere."""
    needed("bash", "openssl")
    root = tmp_path / "root"
    (root / "etc" / "systemd" / "system").mkdir(parents=True)
    (tmp_path / "mock.toml").write_text(
        '[apps.shop]\nprovider = "commsease"\nendpoint = "http://127.0.0.1:9/callbacks"\n', encoding="utf-8"
    )
    shutil.copy(UNIT, tmp_path)
    commands = [one for one in re.findall("^#   (.*)$", TEXT, re.MULTILINE) if "/opt/" not in one]
    asked = 'systemctl() { echo "$@" >> asked; }'
    script = "\n".join([asked, *commands]).replace("/etc/", f"{root}/etc/")
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True)
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert ["daemon-reload", "enable --now provider-mock"] == asked
    return root


def test_starts(installed: Path, tmp_path: Path) -> None:
    """Installed, its command starts a server that wants the token; asked to end, it ends well, and is not started again."""
    etc = installed / "etc"
    assert TEXT == (etc / "systemd" / "system" / UNIT.name).read_text(encoding="utf-8")
    token = etc / "provider-mock" / "token"
    assert 0o600 == token.stat().st_mode & 0o777
    assert 0o644 == (etc / "provider-mock" / "mock.toml").stat().st_mode & 0o777
    program, command, *options = shlex.split(service()["Service"]["ExecStart"])
    assert ("/opt/provider-mock/bin/provider-mock", "serve") == (program, command)
    credentials = service()["Service"]["LoadCredential"]
    assert "token:/etc/provider-mock/token" == credentials
    # In this order: what is put in holds `/etc/`, too.
    for place, here in {"/etc/": f"{etc}/", "${CREDENTIALS_DIRECTORY}": str(token.parent)}.items():
        assert any(place in one for one in options)
        options = [one.replace(place, here) for one in options]
    options[options.index("8600")] = "0"
    # Its folder is the one that it is started in.
    with running(*options, "--database", str(tmp_path / "provider-mock.db")) as server:
        assert ["shop"] == [app["name"] for app in server.first["apps"]]
        url = f"{server.url}/metrics"
        assert 401 == requests.get(url, timeout=30).status_code
        right = {"Authorization": f"Bearer {token.read_text(encoding='utf-8').strip()}"}
        assert 200 == requests.get(url, headers=right, timeout=30).status_code
        assert 0 == server.end()
    assert "on-failure" == service()["Service"]["Restart"]
