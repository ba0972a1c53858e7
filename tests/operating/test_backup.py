"""A copy that was made as the page says, while the server runs, brings everything back."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docs import typed
from tests.operating.asking import ask
from tests.operating.exposed import ROOT
from tests.programs import needed
from tests.provider_mock_ledger import postgres
from tests.provider_mock_server.running import Running, running

PAGE = ROOT / "docs" / "operating.md"
APP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/", "app_secret": "its-own-secret"}


def filled(server: Running) -> None:
    """Let it have an application with a secret of its own, and a delivery."""
    ask(server, "PUT", "/apps/shop", APP)
    ask(server, "POST", "/apps/shop/events", {"events": [{"type": "commsease.login"}]})


def held(server: Running) -> tuple[list[tuple[str, str, bool]], list[Any]]:
    """Return its applications, with where their secrets are and whether they are ready, and its deliveries."""
    apps = [(one["name"], one["secret"], one["ready"]) for one in ask(server, "GET", "/apps")["items"]]
    return apps, [one["payloads"] for one in ask(server, "GET", "/deliveries")["items"]]


def test_sqlite(tmp_path: Path) -> None:
    """The commands of the page, a server that is killed afterwards, and a copy in the place of its file."""
    file, secrets = tmp_path / "provider-mock.db", tmp_path / "provider-mock.db.secrets"
    commands = [
        one.command for block in typed.blocks(PAGE) if "VACUUM INTO" in block.text for one in typed.commands(block)
    ]
    with running("--database", str(file)) as server:
        filled(server)
        before = held(server)
        subprocess.run(["bash", "-euc", "\n".join(commands)], cwd=tmp_path, env=typed.environment(tmp_path), check=True)
        shutil.copytree(secrets, tmp_path / "backup" / secrets.name)
        ask(server, "POST", "/apps/shop/events", {"events": [{"type": "commsease.login"}]})
        server.end(signal.SIGKILL)
    assert 0o700 == (tmp_path / "backup").stat().st_mode & 0o777
    for one in (file, *(Path(f"{file}{suffix}") for suffix in ("-wal", "-shm"))):
        one.unlink()
    shutil.rmtree(secrets)
    shutil.copytree(tmp_path / "backup", tmp_path, dirs_exist_ok=True)
    with running("--database", str(file)) as server:
        assert before == held(server)
    assert ([("shop", f"file:{secrets / 'shop.secret'}", True)], 1) == (before[0], len(before[1]))


@pytest.fixture(scope="module")
def cluster() -> Any:
    """A PostgreSQL."""
    needed("initdb")
    with postgres.cluster(postgres.programs()) as one:
        yield one


def test_postgresql(cluster: postgres.Cluster, tmp_path: Path) -> None:
    """The same by the programs of PostgreSQL."""
    programs = postgres.programs()
    assert programs is not None
    there, back = cluster.new_database(), cluster.new_database()
    secrets = str(tmp_path / "secrets")
    with running("--database", there, "--secrets", secrets) as server:
        filled(server)
        before = held(server)
        copy = tmp_path / "copy"
        subprocess.run([programs / "pg_dump", "--format=custom", f"--file={copy}", there], check=True)
        subprocess.run([programs / "pg_restore", f"--dbname={back}", copy], check=True)
    with running("--database", back, "--secrets", secrets) as server:
        assert before == held(server)
    assert 1 == len(before[1])
