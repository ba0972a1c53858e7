"""The configuration file: what it can say, and what is said when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest
from im_callback.provider_mock.commands.shared import server_api
from im_callback.provider_mock.server.config import BadConfig, Configuration, read
from im_callback.provider_mock.server.models import Rules
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.scenarios import Phase
from im_callback.provider_mock.server.secrets import SecretStore
from im_callback.provider_mock.server.tokens import Tokens, TokenSettings

WHOLE = """
[apps.shop]
provider = "commsease"
endpoint = "https://receiver.test/callbacks"
endpoints = {third-party = "http://receiver.test/questions"}
app_key = "shop-key"
app_secret_file = "secrets/shop"
policy = "reliable"
signed_afresh = false
rate = 12.5
give_up_hours = 48
spacing_seconds = 2.5
retries = 10
backlog = 1000
pause_after = 20
pause_seconds = 60
concurrency = 8
headers = {"X-Gateway" = "pass"}
ca_file = "ca.pem"
proxy = "http://user:word@proxy.test:3128"
faults = ["duplicate:every=10"]

[apps."chat.rooms"]
provider = "rongcloud"
endpoint = "http://127.0.0.1:8000/"
app_secret = "written-here"

[apps.mail]
provider = "tencent"
endpoint = "http://127.0.0.1:8000/"
app_secret_env = "MAIL_TOKEN"
"""
APP = '[apps.a]\nprovider = "commsease"\nendpoint = "http://127.0.0.1/"\n'


def written(folder: Path, text: str) -> Path:
    """Return a file with this text."""
    (folder / "mock.toml").write_text(text, encoding="utf-8")
    return folder / "mock.toml"


class TestRead:
    """What is in the file comes out as settings."""

    def test_byte_order_mark(self, tmp_path: Path) -> None:
        """A byte order mark, with which some editors begin a file, is no part of it."""
        assert read(written(tmp_path, APP)) == read(written(tmp_path, f"\ufeff{APP}"))

    def test_whole(self, tmp_path: Path) -> None:
        """Every key; paths are relative to the file."""
        (tmp_path / "ca.pem").write_bytes(Path(certifi.where()).read_bytes())
        found = read(written(tmp_path, WHOLE)).apps
        assert ["shop", "chat.rooms", "mail"] == list(found)
        assert found["shop"] == AppSettings(
            "commsease",
            "https://receiver.test/callbacks",
            "shop-key",
            secret_ref=f"file:{tmp_path / 'secrets/shop'}",
            policy="reliable",
            endpoints={"third-party": "http://receiver.test/questions"},
            options={
                "signed_afresh": False,
                "spacing_seconds": 2.5,
                "retries": 10,
                "backlog": 1000,
                "pause_after": 20,
                "pause_seconds": 60,
            },
            concurrency=8,
            headers={"X-Gateway": "pass"},
            ca_file=str(tmp_path / "ca.pem"),
            proxy="http://user:word@proxy.test:3128",
            faults=("duplicate:every=10",),
            rate=12.5,
            give_up_hours=48,
        )
        assert ("written-here", None) == (found["chat.rooms"].app_secret, found["chat.rooms"].secret_ref)
        assert "env:MAIL_TOKEN" == found["mail"].secret_ref

    @pytest.mark.parametrize("text", ["", "[apps]\n"])
    def test_empty(self, text: str, tmp_path: Path) -> None:
        """A file without apps is fine."""
        assert Configuration(rules=Rules(secret_folder=tmp_path)) == read(written(tmp_path, text))


class TestBad:
    """One line for each thing that is wrong: file, place, value and fix."""

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("[apps.a\n", "is not TOML at line 1; write [apps.NAME]"),
            ("port = 1\n", "port is unknown; choose one of: server, apps"),
            ("apps = 1\n", "apps is 1 and not a table; write a table for each app: [apps.NAME]"),
            ("[apps]\na = 1\n", "apps.a is 1 and not a table; write a table for each app: [apps.NAME]"),
            (
                '[apps.a]\nprovider = "commsease"\n',
                'apps.a.endpoint is missing; give the address that callbacks are posted to, such as "http://127.0.0.1:8000/callbacks"',
            ),
            (f"{APP}polcy = 'normal'\n", "apps.a.polcy is unknown; did you mean 'policy'?"),
            (f"{APP}retries = 'many'\n", "apps.a.retries is 'many' and not a whole number; give how often"),
            (f"{APP}retries = -1\n", "apps.a.retries is -1; give how often a delivery is sent again, such as 3"),
            (
                f"{APP}retries = 3\n",
                "apps.a.retries: the policy normal never sends again; choose a policy that does: reliable",
            ),
            (f"{APP}signed_afresh = 1\n", "apps.a.signed_afresh is 1 and not true or false; give true or false"),
            (f"{APP}concurrency = 0\n", "apps.a.concurrency is 0; give how many requests"),
            (
                f"{APP}policy = 'never'\n",
                "apps.a.policy: commsease has no policy called 'never'; choose one of: normal, reliable",
            ),
            (
                f"{APP}faults = ['duplicat']\n",
                "apps.a.faults.0: no fault is called 'duplicat'; did you mean 'duplicate'?",
            ),
            (f"{APP}faults = 'delay'\n", "apps.a.faults is 'delay' and not a list; give a list of faults"),
            (
                f"{APP}ca_file = 'nowhere.pem'\n",
                "nowhere.pem' cannot be read (No such file or directory); give the path of certificates in PEM",
            ),
            (f"{APP}headers = {{'X Y' = '1'}}\n", "apps.a.headers.X Y: is no name of a header; use letters"),
            (
                f"{APP}app_secret = 'one'\napp_secret_env = 'TWO'\n",
                "apps.a.app_secret_env is given beside app_secret; give one of them",
            ),
            (f"{APP}app_secret = 'none'\n", "apps.a.app_secret: commsease always signs; give it"),
            (
                APP.replace("commsease", "commsense"),
                "apps.a.provider: no provider is called 'commsense'; did you mean 'commsease'? there are commsease",
            ),
            (
                APP.replace("http:", "ftp:"),
                "apps.a.endpoint: 'ftp://127.0.0.1/' is no address to post to; give it as http://host:port/path",
            ),
            (
                f"{APP}endpoints = {{data-sink = 'http://h/'}}\n",
                "apps.a.endpoints.data-sink: commsease has no feed of this name; did you mean 'data-sync'? there are data-sync, third-party",
            ),
            (
                f"{APP}endpoints = {{data-sync = 'h'}}\n",
                "apps.a.endpoints.data-sync: 'h' is no address to post to; give it as http://host:port/path",
            ),
            (
                f"{APP}endpoints = {{data-sync = 1}}\n",
                "apps.a.endpoints.data-sync is 1 and not text; give the address of this feed",
            ),
            (APP.replace("apps.a", "apps.'a b'"), "apps.a b: 'a b' is no name; use up to 64 letters"),
        ],
    )
    def test_told(self, text: str, line: str, tmp_path: Path) -> None:
        """Each mistake by itself."""
        file = written(tmp_path, text)
        with pytest.raises(BadConfig) as caught:
            read(file)
        (told,) = caught.value.lines
        assert told.startswith(f"{file}: ")
        assert line in told
        assert "\n" not in told

    def test_all_at_once(self, tmp_path: Path) -> None:
        """Every mistake of a kind is told, not the first one alone."""
        file = written(tmp_path, "[apps.a]\nretries = 'x'\nnope = 1\n[apps.b]\nprovider = 2\nendpoint = 'x'\n")
        with pytest.raises(BadConfig) as caught:
            read(file)
        assert ["apps.a.nope", "apps.a.provider", "apps.a.endpoint", "apps.a.retries", "apps.b.provider"] == [
            line.removeprefix(f"{file}: ").split(" ")[0] for line in caught.value.lines
        ]

    @pytest.mark.parametrize(
        "text",
        [
            f"{APP}app_secret = ['hush-77']\n",
            f"{APP}app_secret = 'hush-77\n",
            f"{APP}app_secret_env = 'hush-77'\n",
            f"{APP}headers = {{X = ['hush-77']}}\n",
            f"{APP}headers = 'hush-77'\n",
            f'{APP}headers = {{X = "hush-77\\u0007"}}\n',
            f"{APP}proxy = ['hush-77']\n",
            f"{APP}proxy = 'socks5://u:hush-77@h'\n",
            f"{APP}app_secert = 'hush-77'\n",
            f"{APP}endpoint = 'http://u:hush-77@h/'\n".replace('endpoint = "http://127.0.0.1/"\n', ""),
        ],
    )
    def test_no_secret_is_told(self, text: str, tmp_path: Path) -> None:
        """Whatever is wrong with it, or around it."""
        with pytest.raises(BadConfig) as caught:
            read(written(tmp_path, text))
        assert "hush-77" not in str(caught.value)

    def test_no_file(self, tmp_path: Path) -> None:
        """The path is named."""
        with pytest.raises(BadConfig, match=r"nowhere\.toml: cannot be read \(No such file or directory\)"):
            read(tmp_path / "nowhere.toml")

    def test_not_utf8(self, tmp_path: Path) -> None:
        """Nothing of the file is quoted."""
        (tmp_path / "mock.toml").write_bytes(b"app = '\xff'")
        with pytest.raises(BadConfig, match="is not TOML"):
            read(tmp_path / "mock.toml")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_secrets_and_tokens(mark: bytes, tmp_path: Path) -> None:
    """Secrets and tokens in files are the same with a byte order mark before them."""
    file = tmp_path / "secret"
    file.write_bytes(mark + b"hush-77-hush-77-hush\n")
    assert ["hush-77-hush-77-hush"] * 2 == [SecretStore(None).find(f"file:{file}"), server_api._read(file)]
    assert Tokens({"ci": TokenSettings(f"file:{file}")}).find("hush-77-hush-77-hush")


class TestScenarios:
    """Scenarios stand in the file by name."""

    def test_read(self, tmp_path: Path) -> None:
        """Phases come out in their order."""
        text = (
            '[[scenarios.evening.phases]]\nname = "flood"\nseconds = 60\nrate = 200\n'
            '[[scenarios.evening.phases]]\nname = "outage"\nseconds = 120.5\nfaults = ["refuse:share=0.5"]\n'
        )
        found = read(written(tmp_path, text)).scenarios
        assert {"evening": (Phase("flood", 60.0, 200.0), Phase("outage", 120.5, 0.0, ("refuse:share=0.5",)))} == found

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("seconds = 0", "scenarios.x.phases.0.seconds: 0 is not possible; give more than 0, up to 2.592e+06"),
            ('seconds = 1\nfaults = ["refus"]', "scenarios.x.phases.0.faults.0: no fault is called 'refus'"),
            ("", "scenarios.x.phases.0.seconds is missing; give how many seconds it takes"),
            ("second = 1\nseconds = 1", "scenarios.x.phases.0.second is unknown"),
            ('seconds = "long"', "scenarios.x.phases.0.seconds"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, line: str, message: str) -> None:
        """Each is told by its place, with the fix."""
        with pytest.raises(BadConfig) as caught:
            read(written(tmp_path, f'[[scenarios.x.phases]]\nname = "a"\n{line}\n'))
        assert message in str(caught.value)
