"""What apps may be given: which headers and addresses, whose provider, which pace; and what the operator allows."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
import requests
from im_callback.provider_mock import providers
from im_callback.provider_mock.addresses import network
from im_callback.provider_mock.delivery.faults import parse
from im_callback.provider_mock.delivery.ledger import StoredApp
from im_callback.provider_mock.server import registry
from im_callback.provider_mock.server.config import BadConfig, read, schema
from im_callback.provider_mock.server.models import NewEvent, Rules
from im_callback.provider_mock.server.options import AppSettings, fault
from im_callback.provider_mock.server.service import Service

from tests.provider_mock import peers
from tests.provider_mock.test_plugins import install
from tests.provider_mock_server.app_tables import APP, configured, table, told
from tests.provider_mock_server.running import refused, running
from tests.provider_mock_server.served import served
from tests.provider_mock_server.waiting import until

LOGIN = NewEvent("commsease.login")
Open = Callable[..., Service]


class TestHeaders:
    """An extra header is none that the request makes itself."""

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("Content-Length", "says where the body ends, which every request says itself"),
            ("transfer-ENCODING", "says where the body ends, which every request says itself"),
            *(
                (name, "is about the connection, not for the receiver")
                for name in ("Connection", "keep-alive", "TE", "Trailer", "Upgrade", "Expect", "Proxy-Authorization")
            ),
            ("HOST", "is made from the address"),
            *(
                (name, "is a header by which commsease names the application or signs")
                for name in ("AppKey", "curtime", "MD5", "CHECKSUM")
            ),
            ("content-type", "is set by commsease"),
        ],
    )
    def test_refused(self, name: str, problem: str, tmp_path: Path, service: Service) -> None:
        """By name, in any case, through the API and in the file."""
        with pytest.raises(registry.Invalid) as caught:
            service.apps.put("a", AppSettings(**APP, headers={name: "hush-77"}))
        (one,) = caught.value.problems
        assert (f"/headers/{name}", problem) == (one.field, one.problem)
        assert one.fix.startswith("leave it out")
        with pytest.raises(BadConfig) as bad:
            read(configured(tmp_path, table() + f"headers = {{{name} = 'hush-77'}}"))
        assert [f"{tmp_path / 'mock.toml'}: apps.a.headers.{name}: {problem}; {one.fix}"] == bad.value.lines
        assert "hush-77" not in str(caught.value) + str(bad.value)

    @pytest.mark.parametrize(
        ("provider", "names"),
        [
            ("rongcloud", ("CheckSum", "CurTime", "X-Forwarded-For", "Authorization", "User-Agent", "Cookie")),
            ("tencent", ("Sign", "RequestTime", "SdkAppid", "Accept", "Via")),
        ],
    )
    def test_taken(self, provider: str, names: tuple[str, ...], service: Service) -> None:
        """A header is free where the provider signs elsewhere."""
        given = AppSettings(provider, APP["endpoint"], headers=dict.fromkeys(names, "1"))
        assert names == tuple(service.apps.put("a", given)[0].settings.headers or ())


class TestAddresses:
    """Endpoints are checked by one rule, and those on the link are not called."""

    def test_beyond_ascii(self, open_service: Open) -> None:
        """What `send --to` takes is taken, shown as it was given, and requested in ASCII, also after a restart."""
        service = open_service()
        with peers.peer(peers.OK) as receiver:
            endpoint = f"{receiver.url.rstrip('/')}/回调?名=值#部分"
            assert endpoint == service.apps.put("shop", AppSettings("commsease", endpoint))[0].settings.endpoint
            service.close()
            service = open_service()
            service.intake.accept("shop", [LOGIN])
            (request,) = until(lambda: receiver.requests)
        assert request.startswith(b"POST /cb/%E5%9B%9E%E8%B0%83?%E5%90%8D=%E5%80%BC HTTP/1.1\r\n")

    @pytest.mark.parametrize(
        "endpoint", ["http://例子.测试/x", "HTTP://h/", "http://my_host:1/a?b#c", "http://[fe80::1%25e]/"]
    )
    def test_api(self, endpoint: str, tmp_path: Path) -> None:
        """All of it through the API."""
        with served(tmp_path, rules=Rules(allow_addresses=(network("fe80::/10"),))) as server:
            answer = server.ask("PUT", "/apps/a", {**APP, "endpoint": endpoint})
            assert (201, endpoint) == (answer.status_code, answer.json()["endpoint"])

    REFUSED = (
        "http://169.254.169.254/latest",
        "http://2852039166/",
        "http://[::ffff:169.254.1.1]/",
        "http://[fd00:ec2::254]/",
        "http://Metadata.Google.Internal/",
        "http://１６９。254.169.254/",
    )

    @pytest.mark.parametrize("field", ["endpoint", "proxy"])
    @pytest.mark.parametrize("address", REFUSED)
    def test_refused(self, address: str, field: str, tmp_path: Path, service: Service) -> None:
        """In the API and in the file, as the receiver and as the proxy."""
        with pytest.raises(registry.Invalid) as caught:
            service.apps.put("a", AppSettings(**{**APP, field: address}))
        (one,) = caught.value.problems
        assert f"/{field}" == one.field
        assert "and allow_addresses in the configuration file does not name it" in one.problem
        with pytest.raises(BadConfig, match=f"apps.a.{field}: .*; give another address, or name it there"):
            read(configured(tmp_path, table(**{field: address})))

    @pytest.mark.parametrize("address", REFUSED)
    def test_allowed(self, address: str, tmp_path: Path, open_service: Open) -> None:
        """The configuration file can allow it, for its own apps and for others."""
        head = '[server]\nallow_addresses = ["169.254.0.0/16", "fd00:ec2::254"]\n'
        found = read(configured(tmp_path, head + table(endpoint=address)))
        service = open_service(configured=found.apps, rules=found.rules)
        assert service.apps.get("a").ready
        assert service.apps.put("b", AppSettings("commsease", address))[0].ready

    @pytest.mark.parametrize("faults", [(), ("lose-ack",)], ids=["undisturbed", "on a socket of its own"])
    def test_looked_up(self, faults: tuple[str, ...], open_service: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name that leads there is found out when it is looked up, and nothing is connected to."""
        known = socket.getaddrinfo

        def look_up(host: str, *more: Any, **named: Any) -> Any:
            return known("169.254.169.254" if host == "alias.test" else host, *more, **named)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        service = open_service()
        service.apps.put("shop", AppSettings("commsease", "http://alias.test/"))
        (one,) = service.intake.accept("shop", [LOGIN], faults=faults).deliveries
        attempt, *_ = until(lambda: service.attempts(one))
        assert "unreachable" == attempt.outcome
        assert "169.254.169.254 is an address of a cloud's metadata service" in attempt.rule

    def test_stored(self, open_service: Open) -> None:
        """An app that was allowed one is not ready when it is not any more."""
        service = open_service(rules=Rules(allow_addresses=(network("169.254.7.7"),)))
        service.apps.put("shop", AppSettings("commsease", "http://169.254.7.7/"))
        service.close()
        assert "169.254.7.7 is a link-local address" in str(open_service().apps.get("shop").not_ready)


class TestProviders:
    """A provider's package that is broken stops only its own apps."""

    RAISING = """
from im_callback.provider_mock.providers.commsease import PROVIDER
from im_callback.provider_mock import providers
class Raising(type(PROVIDER)):
    name = "raising"
    catalogue = PROVIDER.catalogue
    def credentials(self, app_key, app_secret):
        raise RuntimeError("not today")
THING = Raising(*PROVIDER.feeds)
"""

    def test_passed_over(self, tmp_path: Path) -> None:
        """It is in the log, in the list of providers, and in `not_ready` of the apps that name it; others deliver."""
        packages = tmp_path / "packages"
        install(packages, providers.GROUP, "exits", "raise SystemExit('no licence')")
        install(packages, providers.GROUP, "raising", self.RAISING)
        with peers.receiver("commsease", "test-key", "test-secret") as receiver:
            text = table("good", endpoint=receiver.url) + table("bad", provider="exits", policy="its-own")
            file = configured(tmp_path, text + table("worse", provider="raising"))
            with running(
                *("--config", str(file), "--database", str(tmp_path / "x.db")), env={"PYTHONPATH": str(packages)}
            ) as server:
                api = f"{server.url}/api/v1"
                apps = {one["name"]: one for one in requests.get(f"{api}/apps", timeout=30).json()["items"]}
                known = requests.get(f"{api}/providers", timeout=30).json()
                new = requests.put(f"{api}/apps/new", json={**APP, "provider": "exits"}, timeout=30)
                body = {"events": [{"type": "commsease.login"}]}
                requests.post(f"{api}/apps/good/events", json=body, timeout=30)
                held = requests.post(f"{api}/apps/bad/events", json=body, timeout=30)
                assert 1 == until(lambda: len(receiver.accepted), 1)
                logged = [one for one in server.records() if one["event"] == "provider-unusable"]
        why = "the provider 'exits' of the package exits-package cannot be loaded (SystemExit: no licence); install"
        assert str(apps["bad"]["not_ready"]).split(": ", 1)[1].startswith(why)
        assert "the provider raising failed (RuntimeError: not today); mend" in apps["worse"]["not_ready"]
        assert apps["good"]["ready"]
        assert [["exits", True]] == [[one["name"], one["problem"].startswith(why)] for one in known["unusable"]]
        assert "exits" not in [one["name"] for one in known["items"]]
        assert ("/provider", why.partition("; ")[0]) == told(new)[:2]
        assert 1 == len(logged)
        assert 409 == held.status_code


class TestMistakes:
    """What is wrong with the file is found at the start."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        """A folder of files that are no certificates."""
        (tmp_path / "empty.pem").touch()
        (tmp_path / "garbage.pem").write_bytes(b"\x00\xffgarbage")
        (tmp_path / "words.pem").write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
        (tmp_path / "folder.pem").mkdir()
        os.mkfifo(tmp_path / "pipe.pem")
        (tmp_path / "device.pem").symlink_to("/dev/zero")
        return tmp_path

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("missing", "cannot be read (No such file or directory)"),
            ("empty", "holds no certificates that can be read"),
            ("garbage", "holds no certificates that can be read"),
            ("words", "holds no certificates that can be read"),
            *((name, "cannot be read (it is no regular file)") for name in ("folder", "pipe", "device")),
        ],
    )
    def test_ca_file(self, name: str, problem: str, files: Path) -> None:
        """One that nobody can be trusted by."""
        path = files / f"{name}.pem"
        with pytest.raises(BadConfig) as caught:
            read(configured(files, table(ca_file=path.name)))
        expected = f"apps.a.ca_file: {str(path)!r} {problem}; give the path of certificates in PEM"
        assert [f"{files / 'mock.toml'}: {expected}"] == caught.value.lines

    def test_good_ca_file(self, tmp_path: Path) -> None:
        """A real one is taken."""
        assert certifi.where() == read(configured(tmp_path, table(ca_file=certifi.where()))).apps["a"].ca_file

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            (
                table(proxy="http://proxy.test:3128", faults=["lose-ack"]),
                "apps.a.faults: faults on the connection cannot reach a receiver through a proxy; leave them out",
            ),
            (table(faults=["stale:on=repeats"]), "apps.a.faults: stale:on=repeats finds nothing that is sent again;"),
            (table(rate=0), "apps.a.rate is 0; give how many deliveries start per second at most"),
            (table(rate=10001), "apps.a.rate is 10001; give how many"),
            (table(give_up_hours=-1), "apps.a.give_up_hours is -1; give after how many hours"),
            ("[server]\nsecret_folders = 'x'\n", "server.secret_folders is unknown; did you mean 'secret_folder'?"),
            ("[server]\nsecret_folder = 'nowhere'\n", "server.secret_folder: there is no folder '"),
            ("[server]\nsecret_variables = ['A B']\n", "server.secret_variables.0 is 'A B'; give the name of"),
            ("[server]\nallow_addresses = ['x']\n", "server.allow_addresses: 'x' is no IP address or network; give"),
            ("[servers]\n", "servers is unknown; did you mean 'server'?"),
        ],
    )
    def test_told(self, text: str, line: str, tmp_path: Path) -> None:
        """Each with its place and the fix."""
        with pytest.raises(BadConfig) as caught:
            read(configured(tmp_path, text))
        (said,) = caught.value.lines
        assert line in said

    def test_at_the_start(self, tmp_path: Path) -> None:
        """Nothing listens then."""
        file = configured(tmp_path, table(ca_file="nowhere.pem"))
        status, said = refused("--config", str(file), "--database", str(tmp_path / "x.db"))
        assert (2, f"error: {file}: apps.a.ca_file: ") == (status, said[: len(f"error: {file}: apps.a.ca_file: ")])

    def test_examples_exist(self) -> None:
        """The faults that hints and documents give as examples can be typed."""
        hints = [one["description"] for one in _nodes(schema()) if isinstance(one.get("description"), str)]
        shown = [example for hint in hints for example in re.findall(r'"([a-z-]+:[a-z-]+=[^"]*)"', hint)]
        assert {"duplicate", "lose-ack"} == {parse(example).name for example in [*shown, *fault()["examples"]]}
        assert 3 == len(shown)


def _nodes(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        yield document
    for one in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from _nodes(one)


class TestPace:
    """How fast an app is served, and when no more."""

    def test_kept(self, open_service: Open) -> None:
        """Both are remembered, shown, and what the engine goes by; replaced without them, there are none."""
        service = open_service()
        service.apps.put("shop", AppSettings(**APP, rate=0.5, give_up_hours=24.0))
        service.close()
        service = open_service()
        shown, made = service.apps.get("shop"), service.apps.entry("shop").app
        assert made is not None
        assert (0.5, 24.0) == (shown.settings.rate, shown.settings.give_up_hours) == (made.rate, made.give_up_hours)
        shown, _ = service.apps.put("shop", AppSettings(**APP))
        assert (None, None, None) == (shown.settings.rate, shown.settings.give_up_hours, shown.switched_off_at)

    def test_api(self, tmp_path: Path) -> None:
        """Through the API and back."""
        with served(tmp_path) as server:
            answer = server.ask("PUT", "/apps/a", {**APP, "rate": 100, "give_up_hours": 0.5}).json()
            assert (100, 0.5, None) == (answer["rate"], answer["give_up_hours"], answer["switched_off_at"])
            wrong = server.ask("PUT", "/apps/a", {**APP, "rate": 0, "give_up_hours": -1})
            assert (422, 2) == (wrong.status_code, len(wrong.json()["errors"]))

    def test_switched_off(self, open_service: Open, caplog: pytest.LogCaptureFixture) -> None:
        """After hours of failures nothing is sent any more, which is logged and shown; replaced, it is on again."""
        service = open_service()
        no = peers.answers(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        given = {"policy": "reliable", "give_up_hours": 1.0}
        with peers.peer(no) as receiver, caplog.at_level(logging.WARNING):
            service.apps.put("shop", AppSettings("commsease", receiver.url, **given))
            (one,) = service.intake.accept("shop", [LOGIN]).deliveries
            assert until(lambda: service.attempts(one))
            assert service.apps.get("shop").switched_off_at is None
            began = service.clock().now
            service.advance(7200)
            since = until(lambda: service.apps.get("shop").switched_off_at)
            assert since >= began + 7_200_000
            assert b'provider_mock_switched_off{app="shop"} 1.0' in service.metrics.render()[0]
        assert until(lambda: [record for record in caplog.records if "shop" in record.getMessage()])
        assert "waiting" == service.delivery(one).state
        with peers.receiver("commsease", "test-key", "test-secret") as receiver:
            service.apps.put("shop", AppSettings("commsease", receiver.url, **given))
            assert until(lambda: service.apps.get("shop").switched_off_at is None)
            assert b'provider_mock_switched_off{app="shop"} 0.0' in service.metrics.render()[0]
            service.advance(7200)
            assert "acked" == until(lambda: service.delivery(one).state, "acked")


class TestStored:
    """What is stored of an app."""

    @pytest.mark.parametrize(
        "options", [{"concurrency": "many"}, {"faults": 7}, {"headers": ["x"]}, {"options": 3}, {"rate": {}}], ids=str
    )
    def test_not_usable(self, options: dict[str, Any], open_service: Open) -> None:
        """One that nobody can read is not ready, can be replaced, and does not stop the others."""
        service = open_service()
        service.apps.put("good", AppSettings(**APP))
        bad = StoredApp("bad", "commsease", "key", "config:test", APP["endpoint"], "normal", options)
        service._ledger.save_app(bad)
        service.close()
        service = open_service()
        shown = {one.name: one for one in service.apps.list()}
        assert (True, False) == (shown["good"].ready, shown["bad"].ready)
        text = service.metrics.render()[0].decode()
        assert 'provider_mock_app_ready{app="bad"} 0.0\nprovider_mock_app_ready{app="good"} 1.0\n' in text
        assert str(shown["bad"].not_ready).startswith("what is stored of it cannot be used (")
        assert service.apps.put("bad", AppSettings(**APP))[0].ready


class TestWaiting:
    """A ledger that hangs holds up the change of one app, and nobody else."""

    def test_ledger_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Apps are listed, the probes answer, and another change of the app is told to come again."""
        monkeypatch.setattr(registry, "PATIENCE", 0.05)
        with served(tmp_path) as server:
            assert 201 == server.ask("PUT", "/apps/other", APP).status_code
            ledger = server.service._ledger
            saves, begun, go_on = ledger.save_app, threading.Event(), threading.Event()

            def hangs(app: Any) -> None:
                begun.set()
                assert go_on.wait(120)
                saves(app)

            monkeypatch.setattr(ledger, "save_app", hangs)
            answers: list[int] = []

            def put() -> None:
                answers.append(requests.put(f"{server.url}/api/v1/apps/slow", json=APP, timeout=120).status_code)

            changing = threading.Thread(target=put)
            changing.start()
            try:
                assert begun.wait(120)
                assert ["other"] == [one["name"] for one in server.ask("GET", "/apps").json()["items"]]
                assert 200 == server.ask("GET", "/apps/other").status_code
                assert 200 == requests.get(f"{server.url}/healthz", timeout=30).status_code
                assert (
                    202
                    == server.ask("POST", "/apps/other/events", {"events": [{"type": "commsease.login"}]}).status_code
                )
                again = server.ask("PUT", "/apps/slow", APP)
                assert (503, "2") == (again.status_code, again.headers["Retry-After"])
                assert "the app 'slow' is being changed; try again in a moment" in again.json()["detail"]
            finally:
                go_on.set()
                changing.join()
            assert [201] == answers
            assert 200 == server.ask("GET", "/apps/slow").status_code
