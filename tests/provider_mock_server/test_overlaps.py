"""Two secrets for a while: what is signed with which, who may call with which, and what the answers say of it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from im_callback.provider_mock.providers.tencent.usersig import usersig
from im_callback.provider_mock.server import config
from im_callback.provider_mock.server.errors import Invalid
from im_callback.provider_mock.server.models import Rules
from im_callback.provider_mock.server.service import Service

from tests.provider_mock.peers import OK, answers
from tests.provider_mock_server.app_tables import configured, table, told
from tests.provider_mock_server.rotating import (
    HOUR,
    NEW,
    OLD,
    Receiver,
    accepted,
    again,
    in_an_hour,
    rotate,
    running,
    sha1,
    shop,
    signed_by,
)
from tests.provider_mock_server.served import Served, served

SHOP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/cb"}

Open = Callable[..., Service]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of this test."""
    with running() as found:
        yield found


class TestSignedWith:
    """What deliveries are signed with."""

    @pytest.mark.parametrize("afresh", [True, False])
    def test_rotation(self, afresh: bool, service: Service, receiver: Receiver) -> None:
        """Retries of what was accepted before the change go on with the old secret; all else, and all later, has the new."""
        options: Any = {"options": {"signed_afresh": afresh}}
        service.apps.put("shop", shop(receiver, app_secret=OLD, **options))
        before = accepted(service)
        assert ["old"] == receiver.came(1)
        rotate(service, receiver, **options)
        receiver.script = OK
        accepted(service)
        assert ["old", "new"] == receiver.came(2)
        service.advance(60)
        assert ["old", "new", "old"] == receiver.came(3)
        assert afresh == (receiver.peer.requests[0] != receiver.peer.requests[2])
        again(service, [before])
        assert "old" == receiver.came(4)[-1]
        service.advance(HOUR)
        again(service, [before])
        assert "new" == receiver.came(5)[-1]

    def test_no_overlap(self, service: Service, receiver: Receiver) -> None:
        """Without one everything has the new secret at once."""
        service.apps.put("shop", shop(receiver, app_secret=OLD))
        accepted(service)
        assert ["old"] == receiver.came(1)
        service.apps.put("shop", shop(receiver, app_secret=NEW))
        receiver.script = OK
        service.advance(60)
        assert ["old", "new"] == receiver.came(2)
        assert service.apps.get("shop").previous_secret_ref is None

    def test_after_a_start(self, open_service: Open, receiver: Receiver) -> None:
        """A start in between changes nothing, neither what is old nor when it ends."""
        service = open_service()
        service.apps.put("shop", shop(receiver, app_secret=OLD))
        accepted(service)
        receiver.came(1)
        rotate(service, receiver)
        accepted(service)
        assert ["old", "new"] == receiver.came(2)
        service.close()
        receiver.script = OK
        service = open_service()
        service.advance(60)
        assert ["new", "old"] == sorted(receiver.came(4)[2:])
        service.advance(HOUR)
        service.close()
        service = open_service()
        again(service, [one.id for one in service.deliveries()])
        assert ["new", "new"] == receiver.came(6)[4:]

    def test_of_the_file(self, open_service: Open, receiver: Receiver) -> None:
        """In the file the first start with two secrets is the change, also where the overlap is prolonged later."""
        old = shop(receiver, app_secret=OLD)
        service = open_service(configured={"shop": old})
        accepted(service)
        assert ["old"] == receiver.came(1)
        end = in_an_hour(service)
        service.close()
        both = replace(old, app_secret=NEW, previous_secret=OLD, overlap_until=end)
        service = open_service(configured={"shop": both})
        accepted(service)
        assert ["old", "new"] == receiver.came(2)
        assert ("config", end) == (
            service.apps.get("shop").previous_secret_ref,
            service.apps.get("shop").settings.overlap_until,
        )
        service.close()
        receiver.script = OK
        service = open_service(configured={"shop": replace(both, overlap_until=end + HOUR * 1000)})
        service.advance(60)
        assert ["new", "old"] == sorted(receiver.came(4)[2:])

    def test_disturbed(self, service: Service, receiver: Receiver) -> None:
        """What is disturbed is signed by the same rule."""
        receiver.script = OK
        service.apps.put("shop", shop(receiver, app_secret=OLD))
        accepted(service, faults=["duplicate"], delay_seconds=60)
        accepted(service, faults=["duplicate"], delay_seconds=2 * HOUR)
        rotate(service, receiver)
        accepted(service, faults=["duplicate"])
        assert ["new", "new"] == receiver.came(2)
        service.advance(60)
        assert ["old", "old"] == receiver.came(4)[2:]
        service.advance(2 * HOUR)
        assert ["new", "new"] == receiver.came(6)[4:]

    def test_once_more(self, service: Service, receiver: Receiver) -> None:
        """Of two changes the later one counts, also back to where it began."""
        receiver.script = OK
        service.apps.put("shop", shop(receiver, app_secret=OLD))
        rotate(service, receiver)
        service.apps.put("shop", shop(receiver, app_secret=OLD, overlap_until=in_an_hour(service)))
        second = accepted(service, delay_seconds=60)
        rotate(service, receiver)
        service.advance(60)
        assert ["old"] == receiver.came(1)
        service.apps.put("shop", shop(receiver, app_secret=OLD))
        accepted(service)
        third = accepted(service, delay_seconds=60)
        rotate(service, receiver)
        again(service, [second])
        service.redeliver([third])
        assert ["old", "old", "old"] == receiver.came(4)[1:]


class TestFault:
    """The fault that signs with the previous secret."""

    def test_at_will(self, service: Service, receiver: Receiver) -> None:
        """It does so during an overlap and after it, whenever a delivery was accepted."""
        receiver.script = OK
        service.apps.put("shop", shop(receiver, app_secret=OLD))
        accepted(service, faults=["duplicate"], delay_seconds=60)
        rotate(service, receiver)
        accepted(service, faults=["previous-secret"])
        assert ["old"] == receiver.came(1)
        service.advance(60)
        assert ["old", "old", "old"] == receiver.came(3)
        service.advance(HOUR)
        accepted(service, faults=["duplicate", "previous-secret:on=repeats"])
        assert ["new", "old"] == receiver.came(5)[3:]

    def test_without_overlap(self, service: Service, receiver: Receiver) -> None:
        """A previous secret without an overlap is for the fault alone, which may be a standing one."""
        receiver.script = OK
        service.apps.put("shop", shop(receiver, app_secret=NEW, previous_secret=OLD))
        accepted(service)
        service.apps.put("shop", shop(receiver, faults=("previous-secret",)))
        receiver.came(1)
        accepted(service)
        assert ["new", "old"] == receiver.came(2)

    def test_nothing_to_do(self, service: Service, receiver: Receiver) -> None:
        """Without a previous secret it is an error, wherever it is asked for."""
        service.apps.put("shop", shop(receiver, app_secret=NEW))
        due = "no previous secret is set"
        with pytest.raises(Invalid, match=due):
            accepted(service, faults=["previous-secret"])
        with pytest.raises(Invalid, match=due):
            service.apps.set_faults("shop", ["previous-secret"])
        with pytest.raises(Invalid, match=due):
            service.apps.put("shop", shop(receiver, faults=("previous-secret",)))

    def test_in_the_file(self, tmp_path: Path) -> None:
        """In the file too: it stands beside a previous secret, or is an error."""
        text = table(app_secret=NEW, previous_secret=OLD, faults=["previous-secret"])
        assert ("previous-secret",) == config.read(configured(tmp_path, text)).apps["a"].faults
        with pytest.raises(config.BadConfig, match="no previous secret is set"):
            config.read(configured(tmp_path, table(app_secret=NEW, faults=["previous-secret"])))


def rong(server: Served, secret: str) -> int:
    """Call RongCloud's server API; return the status."""
    now = str(int(time.time()))
    signed = {"App-Key": "test-key", "Nonce": "1", "Timestamp": now, "Signature": sha1(f"{secret}1{now}")}
    fields = {"chatroomId": "r", "userId": "u", "key": "k", "value": "v"}
    url = f"{server.url}/chatroom/entry/set.json"
    return requests.post(url, data=fields, headers=signed, timeout=30).status_code


def tencent(server: Served, secret: str) -> int:
    """Call Tencent's server API; return the code."""
    now, app = int(time.time()), 1_400_000_001
    names = {"TLS.ver": "2.0", "TLS.identifier": "admin", "TLS.sdkappid": app, "TLS.expire": 60, "TLS.time": now}
    import base64
    import zlib

    packed = zlib.compress(json.dumps({**names, "TLS.sig": usersig(secret, "admin", app, now, 60)}).encode())
    text = base64.b64encode(packed).decode().translate(str.maketrans("+/=", "*-_"))
    query = {"sdkappid": str(app), "identifier": "admin", "random": "1", "contenttype": "json", "usersig": text}
    url = f"{server.url}/v4/im_open_login_svc/account_import"
    return int(requests.post(url, params=query, json={"UserID": "a"}, timeout=30).json()["ErrorCode"])


class TestServerApi:
    """Calls of the provider's server API."""

    def test_both(self, tmp_path: Path) -> None:
        """They may be signed with either secret until the overlap ends, then with the new one alone."""
        given = {"provider": "rongcloud", "endpoint": SHOP["endpoint"]}
        with served(tmp_path) as server:
            server.ask("PUT", "/apps/shop", {**given, "app_secret": OLD})
            assert [200, 401] == [rong(server, one) for one in (OLD, NEW)]
            more = {"app_secret": NEW, "overlap_until": in_an_hour(server.service)}
            assert 200 == server.ask("PUT", "/apps/shop", {**given, **more}).status_code
            assert [200, 200, 401] == [rong(server, one) for one in (OLD, NEW, "neither")]
            server.service.advance(HOUR)
            assert [401, 200] == [rong(server, one) for one in (OLD, NEW)]

    def test_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """So may those of an app whose server API has a secret of its own; the callbacks' previous one is none of it."""
        monkeypatch.setenv("OLD_KEY", OLD)
        monkeypatch.setenv("NEW_KEY", NEW)
        given = {"provider": "tencent", "endpoint": SHOP["endpoint"], "app_secret": "token-before"}
        with served(tmp_path, rules=Rules(secret_variables=frozenset({"OLD_KEY", "NEW_KEY"}))) as server:
            server.ask("PUT", "/apps/shop", {**given, "api_secret_ref": "env:OLD_KEY"})
            more = {"api_secret_ref": "env:NEW_KEY", "overlap_until": in_an_hour(server.service)}
            answer = server.ask("PUT", "/apps/shop", {**given, **more, "app_secret": "token-after"})
            assert 200 == answer.status_code, answer.text
            assert [0, 0, 60004] == [tencent(server, one) for one in (OLD, NEW, "token-before")]
            server.service.advance(HOUR)
            assert [60004, 0] == [tencent(server, one) for one in (OLD, NEW)]


class TestPut:
    """What an app keeps that is replaced."""

    @pytest.fixture
    def server(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
        """A server with an app, whose secret was changed with an overlap."""
        monkeypatch.setenv("OF_ENV", NEW)
        monkeypatch.setenv("OTHER", "another-secret")
        rules = Rules(secret_variables=frozenset({"OF_ENV", "OTHER", "MISSING"}))
        with served(tmp_path / "server", rules=rules) as server:
            self.end = in_an_hour(server.service)
            self.put(server, app_secret=OLD)
            self.put(server, app_secret=NEW, overlap_until=self.end)
            yield server

    def put(self, server: Served, **more: Any) -> dict[str, Any]:
        """Return the app, replaced."""
        answer = server.ask("PUT", "/apps/shop", {**SHOP, **more})
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    def previous(self, server: Served) -> str | None:
        """Return the previous secret, as it is known."""
        made = server.service.apps.entry("shop").app
        assert made is not None
        return made.credentials.previous.app_secret if made.credentials.previous else None

    @pytest.mark.parametrize("more", [{}, {"app_secret": NEW}, {"secret_ref": "env:OF_ENV"}, {"concurrency": 3}])
    def test_kept(self, more: Mapping[str, Any], server: Served) -> None:
        """With the same secret, said or not, the previous one and the overlap stay."""
        kept = f"file:{server.service.apps._secrets.folder}/shop.previous"
        for _ in range(2):
            shown = self.put(server, **more)
            assert (kept, self.end) == (shown["previous_secret_ref"], shown["overlap_until"])
            assert OLD == self.previous(server)

    def test_ended(self, server: Served) -> None:
        """Its end can be moved, also into the past."""
        assert 1 == self.put(server, overlap_until=1)["overlap_until"]
        assert OLD == self.previous(server)
        assert server.service.apps.entry("shop").app.overlap is None  # type: ignore[union-attr]

    def test_dropped(self, server: Served, tmp_path: Path) -> None:
        """Another secret without an overlap leaves none, and its file goes; so does the file with its app."""
        file = tmp_path / "server" / "secrets" / "shop.previous"
        assert OLD == file.read_text()
        assert 0o600 == file.stat().st_mode & 0o777
        shown = self.put(server, app_secret="a-third")
        assert (None, None) == (shown["previous_secret_ref"], shown["overlap_until"])
        assert not file.exists()
        self.put(server, app_secret=NEW, overlap_until=self.end)
        assert "a-third" == file.read_text()
        assert 204 == server.ask("DELETE", "/apps/shop").status_code
        assert [] == list(file.parent.iterdir())

    def test_refused_leaves_all(self, server: Served, tmp_path: Path) -> None:
        """A change that is refused leaves both secrets as they are, also on disk."""
        given = {**SHOP, "app_secret": "a-third", "overlap_until": self.end, "api_secret_ref": "env:MISSING"}
        assert "/api_secret_ref" == told(server.ask("PUT", "/apps/shop", given))[0]
        folder = tmp_path / "server" / "secrets"
        assert [OLD, NEW] == [(folder / f"shop.{role}").read_text() for role in ("previous", "secret")]
        assert OLD == self.previous(server)

    def test_elsewhere(self, server: Served) -> None:
        """A secret that lies elsewhere is referred to; the test secret is kept."""
        self.put(server, secret_ref="env:OF_ENV")
        shown = self.put(server, secret_ref="env:OTHER", overlap_until=self.end)
        assert ("env:OF_ENV", "env:OTHER") == (shown["previous_secret_ref"], shown["secret"])
        assert NEW == self.previous(server)
        server.ask("PUT", "/apps/test", SHOP)
        answer = server.ask("PUT", "/apps/test", {**SHOP, "app_secret": NEW, "overlap_until": self.end})
        assert answer.json()["previous_secret_ref"].endswith("/test.previous")

    def test_same_variable(self, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the same place holds another secret, the one of before is kept."""
        self.put(server, secret_ref="env:OF_ENV")
        monkeypatch.setenv("OF_ENV", "a-third")
        shown = self.put(server, secret_ref="env:OF_ENV", overlap_until=self.end)
        assert shown["previous_secret_ref"].endswith("/shop.previous")
        assert NEW == self.previous(server)

    def test_console(self, server: Served) -> None:
        """The console shows where the previous secret is, and until when it holds."""
        self.put(server, secret_ref="env:OF_ENV")
        self.put(server, secret_ref="env:OTHER", overlap_until=1_893_456_000_000)
        page = requests.get(f"{server.url}/console/apps/shop", timeout=30).text
        assert "env:OF_ENV" in page
        assert "2030-01-01 00:00:00" in page

    def test_given(self, server: Served) -> None:
        """What is given counts, and an overlap need not be."""
        shown = self.put(server, previous_secret_ref="env:OTHER")
        assert ("env:OTHER", None) == (shown["previous_secret_ref"], shown["overlap_until"])
        assert "another-secret" == self.previous(server)

    @pytest.mark.parametrize(
        ("more", "due"),
        [
            ({"overlap_until": 1}, ("/overlap_until", "is given without a previous secret")),
            (
                {"previous_secret": "a", "previous_secret_ref": "env:OTHER"},
                ("/previous_secret_ref", "is given beside previous_secret"),
            ),
            ({"previous_secret": "none"}, ("/previous_secret", "commsease always signs")),
            (
                {"previous_secret_ref": "env:MISSING", "overlap_until": 10**14},
                ("/previous_secret_ref", "its secret env:MISSING leads to none that an app of the API may use"),
            ),
            (
                {"secret_ref": "file:{folder}/new.previous"},
                ("/secret_ref", "its secret file:{folder}/new.previous leads to none that an app of the API may use"),
            ),
        ],
    )
    def test_refused(self, more: dict[str, Any], due: tuple[str, str], server: Served) -> None:
        """What cannot be is named, with a fix."""
        folder = server.service.apps._secrets.folder
        (folder / "new.previous").write_text(OLD)  # type: ignore[operator]
        given = {name: one.format(folder=folder) if isinstance(one, str) else one for name, one in more.items()}
        field, problem, fix = told(server.ask("PUT", "/apps/new", {**SHOP, **given}))
        assert (due[0], due[1].format(folder=folder)) == (field, problem)
        assert fix


class TestFile:
    """The previous secret in the configuration file."""

    def test_keys(self, tmp_path: Path) -> None:
        """By variable or file, and the end as a time or in milliseconds."""
        more = "previous_secret_env = 'X'\nprevious_api_secret_file = 'y'\noverlap_until = 2030-01-31T13:00:00+01:00\n"
        found = config.read(configured(tmp_path, table() + more)).apps["a"]
        assert ("env:X", f"file:{tmp_path / 'y'}") == (found.previous_secret_ref, found.previous_api_secret_ref)
        assert 1_896_091_200_000 == found.overlap_until

    @pytest.mark.parametrize(
        ("more", "due"),
        [
            ("overlap_until = 1", "apps.a.overlap_until: is given without a previous secret; give previous_secret"),
            (
                "previous_secret = 'hush-1'\noverlap_until = 2030-01-31T12:00:00",
                "and not a whole number; give UTC milliseconds; in a file also a time with its zone",
            ),
            (
                "previous_secret = 'hush-1'\nprevious_secret_env = 'X'",
                "apps.a.previous_secret_env is given beside previous_secret; give one of them",
            ),
        ],
    )
    def test_refused(self, more: str, due: str, tmp_path: Path) -> None:
        """What cannot be is named, with a fix, and no secret is."""
        with pytest.raises(config.BadConfig) as caught:
            config.read(configured(tmp_path, table() + more))
        assert due in str(caught.value)
        assert "hush-1" not in str(caught.value)

    def test_missing(self, open_service: Open, receiver: Receiver) -> None:
        """A previous secret that is not there keeps an app from being ready while it is needed, and not after that."""
        given = shop(receiver, app_secret=NEW, previous_secret_ref="env:NOT_THERE_AT_ALL")
        service = open_service()
        end = in_an_hour(service)
        service.close()
        service = open_service(configured={"shop": replace(given, overlap_until=end)})
        shown = service.apps.get("shop")
        assert "its secret env:NOT_THERE_AT_ALL is not in the environment" in str(shown.not_ready)
        service.close()
        service = open_service(configured={"shop": replace(given, overlap_until=1)})
        assert (True, "env:NOT_THERE_AT_ALL") == (
            service.apps.get("shop").ready,
            service.apps.get("shop").previous_secret_ref,
        )


class TestNothingLeaks:
    """Neither secret is shown, stored or logged."""

    def test_nowhere(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Not even where a receiver sends them back, nor after the overlap."""
        caplog.set_level(logging.DEBUG)
        said = f"wrong {OLD} {NEW}".encode()
        echo = answers(b"HTTP/1.1 400 No\r\nX-Said: %b\r\nContent-Length: %d\r\n\r\n%b" % (said, len(said), said))
        with served(tmp_path, script=echo) as server:
            server.ask("PUT", "/apps/shop", {**SHOP, "app_secret": OLD})
            more = {"app_secret": NEW, "overlap_until": in_an_hour(server.service)}
            texts = [server.ask("PUT", "/apps/shop", {**SHOP, **more}).text]
            ids = server.accept("shop", "commsease.login")
            ids += server.accept("shop", "commsease.login", faults=["previous-secret"])
            server.settled(ids, "dropped")
            server.service.advance(HOUR)
            ids += (late := server.accept("shop", "commsease.login", faults=["previous-secret"]))
            server.settled(late, "dropped")
            texts += [server.ask("GET", f"/deliveries/{one}/attempts").text for one in ids]
            texts += [server.ask("GET", "/apps").text, repr(server.service.apps.entry("shop"))]
            assert ["new", "old", "old"] == [signed_by(one) for one in server.receiver.requests]
        assert "***" in texts[1]
        texts += [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir() if path.is_file()]
        found = "\n".join([*texts, caplog.text])
        assert (False, False) == (OLD in found, NEW in found)
