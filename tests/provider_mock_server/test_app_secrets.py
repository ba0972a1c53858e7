"""Where the secrets of apps may be: what the operator allows, and one answer for all else."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import requests
from im_callback.provider_mock.server.models import Rules
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.secrets import LONGEST, SecretMissing, SecretStore
from im_callback.provider_mock.server.service import Service

from tests.provider_mock_server.app_tables import APP, configured, table, told
from tests.provider_mock_server.running import running
from tests.provider_mock_server.served import Served, served

SECRET = "app-secret-4711"
Open = Callable[..., Service]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's folder, with all that can be named in one."""
    base = tmp_path_factory.mktemp("secrets")
    (base / "outside").write_text(SECRET)
    folder = base / "inside"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "good").write_text(f"{SECRET}\n")
    (folder / "link").symlink_to(folder / "deep" / "good")
    (folder / "out").symlink_to(base / "outside")
    (folder / "far").symlink_to(base)
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "empty").touch()
    (folder / "long").write_bytes(b"x" * (LONGEST + 1))
    (folder / "bytes").write_bytes(b"\xff\xfe\xfd")
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo")
    os.mknod(folder / "socket", stat.S_IFSOCK | 0o600)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that allows that folder and one variable."""
    rules = Rules(folder, frozenset({"ALLOWED_SECRET", "NOT_SET_AT_ALL"}))
    with (
        patch.dict(os.environ, {"ALLOWED_SECRET": SECRET, "OTHER_SECRET": SECRET}),
        served(tmp_path_factory.mktemp("server"), rules=rules) as server,
    ):
        assert 201 == server.ask("PUT", "/apps/kept", {**APP, "app_secret": SECRET}).status_code
        yield server


class TestSecrets:
    """Secrets are in regular files, below the operator's folder, or in variables that the operator names."""

    @pytest.mark.parametrize(
        "place",
        [
            *("nothing", "fifo", "socket", "deep", ".", "empty", "long", "bytes", "zero", "circle", "x" * 300),
            *("out", "far/outside", "../outside", "deep/../../outside", "/etc/hostname", "/no/such/file", "/dev/zero"),
            *("{base}/outside", "{folder}/../outside", "{kept}", "good/../deep/nothing", "/proc/self/environ"),
        ],
    )
    def test_one_answer(self, place: str, folder: Path, server: Served) -> None:
        """What is missing, unreadable, too long or forbidden is told alike, and the server goes on."""
        kept = server.ask("GET", "/apps/kept").json()["secret"].removeprefix("file:")
        ref = f"file:{place.format(base=folder.parent, folder=folder, kept=kept)}"
        field, problem, fix = told(server.ask("PUT", "/apps/new", {**APP, "secret_ref": ref}))
        assert ("/secret_ref", f"its secret {ref} leads to none that an app of the API may use") == (field, problem)
        assert fix.startswith("give app_secret, or a file below the server's secret_folder")
        assert 404 == server.ask("GET", "/apps/new").status_code

    @pytest.mark.parametrize("name", ["OTHER_SECRET", "PATH", "NO_SUCH_VARIABLE", "NOT_SET_AT_ALL"])
    def test_variables(self, name: str, server: Served) -> None:
        """So are variables, those that are set and those that are not."""
        _, problem, _ = told(server.ask("PUT", "/apps/new", {**APP, "secret_ref": f"env:{name}"}))
        assert f"its secret env:{name} leads to none that an app of the API may use" == problem

    @pytest.mark.parametrize("ref", ["file:deep/good", "file:link", "file:{folder}/deep/good", "env:ALLOWED_SECRET"])
    def test_taken(self, ref: str, folder: Path, server: Served) -> None:
        """What the operator allows is used, and shown as it was given."""
        ref = ref.format(folder=folder)
        assert ref == server.ask("PUT", "/apps/taken", {**APP, "secret_ref": ref}).json()["secret"]
        made = server.service.apps.entry("taken").app
        assert made is not None
        assert SECRET == made.credentials.app_secret

    def test_own_again(self, server: Served) -> None:
        """An app can be given the file that is kept for it, as it is shown."""
        ref = server.ask("GET", "/apps/kept").json()["secret"]
        assert ref == server.ask("PUT", "/apps/kept", {**APP, "secret_ref": ref}).json()["secret"]
        assert Path(ref.removeprefix("file:")).is_file()

    def test_nothing_allowed(self, open_service: Open, tmp_path: Path) -> None:
        """Without a configuration no file and no variable is."""
        (tmp_path / "good").write_text(SECRET)
        store = SecretStore(tmp_path / "secrets")
        for ref in (f"file:{tmp_path / 'good'}", "file:good", "env:PATH"):
            with pytest.raises(SecretMissing, match="leads to none"):
                store.find_allowed("a", ref)

    def test_rules_at_the_next_start(self, open_service: Open, tmp_path: Path) -> None:
        """What is not allowed any more is not used any more."""
        (tmp_path / "good").write_text(SECRET)
        service = open_service(rules=Rules(tmp_path))
        service.apps.put("shop", AppSettings(**APP, secret_ref="file:good"))
        service.close()
        app = open_service(rules=Rules(tmp_path / "elsewhere")).apps.get("shop")
        assert not app.ready
        assert "its secret file:good leads to none that an app of the API may use" in str(app.not_ready)

    def test_of_the_file(self, tmp_path: Path) -> None:
        """The configuration's own apps may use what they like, and no pipe stops the server."""
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "good").write_text(SECRET)
        text = table("good", app_secret_file=str(tmp_path / "good")) + table("pipe", app_secret_file="pipe")
        file = configured(tmp_path, text + table("loose", app_secret_env="LOOSE_SECRET"))
        with running(
            *("--config", str(file), "--database", str(tmp_path / "x.db")), env={"LOOSE_SECRET": SECRET}
        ) as server:
            apps = {one["name"]: one for one in requests.get(f"{server.url}/api/v1/apps", timeout=30).json()["items"]}
            beside = requests.put(
                f"{server.url}/api/v1/apps/beside", json={**APP, "secret_ref": "file:good"}, timeout=30
            )
        assert (True, True, False) == (apps["good"]["ready"], apps["loose"]["ready"], apps["pipe"]["ready"])
        assert "pipe cannot be read (it is no regular file); put a file there" in apps["pipe"]["not_ready"]
        # The folder of the configuration is the default.
        assert 201 == beside.status_code
