"""The providers' server APIs over HTTP: who may call, who is asked first, what is kept."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from im_callback.provider_mock import providers
from im_callback.provider_mock.providers.tencent.usersig import usersig
from im_callback.provider_mock.server import server_apis
from im_callback.provider_mock.server.models import Rules
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

from tests.provider_mock.peers import OK, answers, silent
from tests.provider_mock_server.served import TOKEN, Served, served
from tests.provider_mock_server.waiting import PATIENCE, until

ENDPOINT = "http://127.0.0.1:9/cb"
SET, SEND, ROOM = "/chatroom/entry/set.json", "/message/private/publish.json", "/chatroom/create_new.json"
ENTRY = {"chatroomId": "r", "userId": "u", "key": "k", "value": "v"}
MESSAGE = {"fromUserId": "u", "toUserId": "w", "objectName": "RC:TxtMsg", "content": '{"content":"hello"}'}
PASS = b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"pass":1}'


def sha1(text: str) -> str:
    """Return it in hex."""
    return hashlib.sha1(text.encode()).hexdigest()


def rong(
    server: Served,
    path: str,
    fields: Mapping[str, Any],
    secret: str = "test-secret",
    key: str = "test-key",
    moment: str = "",
    prefix: str = "",
    **headers: str,
) -> requests.Response:
    """Call as RongCloud's SDKs do; without the server's token, always with the same nonce."""
    moment = moment or str(int(time.time()))
    signed = {"App-Key": key, "Nonce": "14314", "Timestamp": moment, "Signature": sha1(f"{secret}14314{moment}")}
    named = {prefix + name: value for name, value in signed.items()}
    return requests.post(f"{server.url}{path}", data=fields, headers={**named, **headers}, timeout=30)


def netease(server: Served, path: str, fields: Mapping[str, Any], moment: int | None = None) -> requests.Response:
    """Call as CommsEase's SDKs do."""
    now = str(int(time.time()) if moment is None else moment)
    signed = {"AppKey": "test-key", "Nonce": "n" * 32, "CurTime": now, "CheckSum": sha1(f"test-secret{'n' * 32}{now}")}
    return requests.post(f"{server.url}{path}", data=fields, headers=signed, timeout=30)


def types(server: Served) -> list[str]:
    """Return the event types of all deliveries, the first first."""
    return [one.event_type.partition(".")[2] for one in reversed(server.service.deliveries())]


@pytest.fixture
def rooms(tmp_path: Path) -> Any:
    """A server with an application at RongCloud, whose receiver says yes."""
    with served(tmp_path, script=answers(PASS)) as server:
        server.service.apps.put("rooms", AppSettings("rongcloud", ENDPOINT))
        yield server


class TestWhoMayCall:
    """Tests for signatures, keys and the server's token."""

    @pytest.mark.parametrize("moment", ["1408710653", "1408710653491"])
    @pytest.mark.parametrize("prefix", ["", "RC-"])
    def test_rongcloud(self, rooms: Served, moment: str, prefix: str) -> None:
        """Seconds and milliseconds, old and new names, and a nonce as often as one likes."""
        assert {"code": 200} == rong(rooms, SET, ENTRY, moment=moment, prefix=prefix).json()

    def test_wrong_secret(self, rooms: Served) -> None:
        """Another secret: 401, 1004, and nothing happens."""
        response = rong(rooms, SET, ENTRY, secret="another")
        assert (401, 1004) == (response.status_code, response.json()["code"])
        assert "test-secret" not in response.text
        assert [] == types(rooms)

    def test_unknown_key(self, rooms: Served) -> None:
        """A key that no application has."""
        response = rong(rooms, SET, ENTRY, key="nobody")
        assert (401, 1001) == (response.status_code, response.json()["code"])

    def test_same_key_twice(self, rooms: Served, tmp_path: Path) -> None:
        """Of two applications with one key, the one whose secret signs is meant."""
        other = AppSettings("rongcloud", ENDPOINT, app_secret="of-the-other")
        rooms.service.apps.put("a-other", other)
        assert 200 == rong(rooms, SET, ENTRY, secret="of-the-other").status_code
        assert 200 == rong(rooms, SET, ENTRY).status_code
        assert ["rooms", "a-other"] == [one.app for one in rooms.service.deliveries()]

    def test_not_played(self, rooms: Served) -> None:
        """What is not there says so, with 404."""
        response = rong(rooms, "/ultragroup/create.json", {})
        assert 404 == response.status_code
        assert "/ultragroup/create.json is not played here" in response.json()["errorMessage"]

    def test_unusable(self, rooms: Served) -> None:
        """A value that the provider could not send is refused, and not kept."""
        response = rong(rooms, SET, {**ENTRY, "key": "no spaces"})
        assert (400, 1002) == (response.status_code, response.json()["code"])
        assert rooms.service._ledger.state("rooms", "room", "r") is None

    def test_token(self, tmp_path: Path) -> None:
        """SDKs have no token of the server's; the API still needs one, and the document of it is no call."""
        with served(tmp_path, token=TOKEN) as server:
            server.service.apps.put("rooms", AppSettings("rongcloud", ENDPOINT))
            assert 200 == rong(server, SET, ENTRY).status_code
            assert 401 == requests.get(f"{server.url}/api/v1/apps", timeout=30).status_code
            assert "openapi" in requests.get(f"{server.url}/openapi.json", timeout=30).json()

    def test_web_pages(self, rooms: Served) -> None:
        """Without a token it answers this machine's programs alone, here too."""
        assert 403 == rong(rooms, SET, ENTRY, Origin="http://evil.example").status_code
        assert 403 == rong(rooms, SET, ENTRY, Host="evil.example").status_code

    def test_commsease(self, tmp_path: Path) -> None:
        """CurTime is in seconds, and near now; the path may have `/nimserver` before it."""
        with served(tmp_path) as server:
            server.service.apps.put("im", AppSettings("commsease", ENDPOINT))
            fields = {"accid": "a"}
            assert 200 == netease(server, "/nimserver/user/create.action", fields).json()["code"]
            assert "already register" == netease(server, "/user/create.action", fields).json()["desc"]
            late = netease(server, "/user/create.action", {"accid": "b"}, int(time.time()) - 400).json()
            millis = netease(server, "/user/create.action", {"accid": "b"}, int(time.time() * 1000)).json()
            assert [414, 414] == [late["code"], millis["code"]]
            assert "in seconds" in millis["desc"]


class TestCommsEase:
    """Tests for what its calls come to."""

    def test_tour(self, tmp_path: Path) -> None:
        """A message, its recall, an element of a queue, a team: copied in this order, as made by a server."""
        with served(tmp_path) as server:
            server.service.apps.put("im", AppSettings("commsease", ENDPOINT, concurrency=1))
            body = {"from": "a", "ope": "0", "to": "b", "type": "0", "body": '{"msg":"你好"}'}
            sent = netease(server, "/msg/sendMsg.action", body).json()["data"]
            recall = {"deleteMsgid": sent["msgid"], "timetag": sent["timetag"], "type": "7", "from": "a", "to": "b"}
            netease(server, "/msg/recall.action", recall)
            room = netease(server, "/chatroom/create.action", {"creator": "a", "name": "n"}).json()["chatroom"][
                "roomid"
            ]
            for value in ("1", "2"):
                netease(server, "/chatroom/queueOffer.action", {"roomid": room, "key": "mic", "value": value})
            netease(server, "/team/create.action", {"tname": "n", "owner": "a", "members": '["b"]'})
            until(lambda: len(server.receiver.requests), 5)
        came = [(data, json.loads(data.partition(b"\r\n\r\n")[2])) for data in server.receiver.requests]
        assert ["1", "7", "14", "14", "1"] == [payload["eventType"] for _, payload in came]
        assert [("你好", "REST")] == [(came[0][1]["body"], came[0][1]["fromClientType"])]
        assert came[0][1]["msgidServer"] == came[1][1]["msgId"] == str(sent["msgid"])
        assert ["2", "3"] == [payload["qEvent"] for _, payload in came[2:4]]
        assert "NOTIFICATION" == came[4][1]["msgType"]
        for data, _ in came:
            head, _, content = data.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
            digest = hashlib.md5(content).hexdigest()
            assert sha1(f"test-secret{digest}{headers['CurTime']}") == headers["CheckSum"]


class TestAsked:
    """Tests for what the receiver is asked first."""

    def test_no_answer(self, tmp_path: Path) -> None:
        """A receiver that says nothing in time lets it through."""
        with served(tmp_path, script=silent) as server:
            server.service.apps.put("im", AppSettings("tencent", ENDPOINT))
            words = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}]
            message = {"To_Account": "b", "MsgRandom": 1, "MsgBody": words}
            answer = tencent(server, "openim/sendmsg", message, "test-token")
            assert 0 == answer["ErrorCode"]
            assert ["c2c-before-send", "c2c-after-send"] == types(server)

    def test_refusing_status(self, tmp_path: Path) -> None:
        """So does one that answers with an error."""
        with served(tmp_path, script=answers(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")) as server:
            server.service.apps.put("rooms", AppSettings("rongcloud", ENDPOINT))
            assert 1 == len(rong(server, SEND, MESSAGE).json()["messageUIDs"])
            assert ["pre-message", "message"] == types(server)

    @pytest.mark.parametrize(("faults", "due"), [([], ["pre-message"]), (["lose-ack"], ["pre-message", "message"])])
    def test_faults(self, faults: list[str], due: list[str], tmp_path: Path) -> None:
        """Faults of the application disturb questions too: a refusal that is lost on the way refuses nothing."""
        with served(tmp_path, script=answers(PASS.replace(b"1}", b"0}"))) as server:
            server.service.apps.put("rooms", AppSettings("rongcloud", ENDPOINT, faults=tuple(faults)))
            assert 200 == rong(server, SEND, MESSAGE).status_code
            assert due == types(server)

    def test_calls_in_its_turn(self, tmp_path: Path) -> None:
        """A receiver that calls the server while it is asked keeps nobody waiting, itself included."""
        seen: list[Any] = []

        def script(connection: socket.socket, data: bytes) -> None:
            if b"messageId=" in data:
                seen.append(rong(server, SET, ENTRY).json())
            connection.sendall(PASS)

        with served(tmp_path, script=script) as server:
            server.service.apps.put("rooms", AppSettings("rongcloud", ENDPOINT))
            assert 200 == rong(server, SEND, MESSAGE).status_code
            assert [{"code": 200}] == seen
            assert ["pre-message", "chatroom-kv", "message"] == types(server)

    def test_many_in_turn(self, tmp_path: Path) -> None:
        """So do many at once, more than the server's own API has threads."""

        def script(connection: socket.socket, data: bytes) -> None:
            if b"messageId=" in data:
                barrier.wait(PATIENCE)
                found.append(rong(server, SET, ENTRY).status_code)
                connection.sendall(PASS.replace(b"1}", b"0}"))
            else:
                connection.sendall(PASS)

        barrier, found, many = threading.Barrier(12), list[int](), 12
        with served(tmp_path, script=script) as server:
            server.service.apps.put("rooms", AppSettings("rongcloud", ENDPOINT))
            threads = [threading.Thread(target=rong, args=(server, SEND, MESSAGE)) for _ in range(many)]
            for one in threads:
                one.start()
            for one in threads:
                one.join()
            assert many == until(lambda: len(found), many)
            assert {200} == set(found)

    def test_switched_off(self, rooms: Served) -> None:
        """What the console has not switched on is neither asked nor told."""
        settings = AppSettings("rongcloud", ENDPOINT, api_feeds=("chatroom-kv",))
        rooms.service.apps.put("rooms", settings)
        assert 1 == len(rong(rooms, SEND, MESSAGE).json()["messageUIDs"])
        rong(rooms, SET, ENTRY)
        assert ["chatroom-kv"] == types(rooms)

    def test_unknown_feed(self, rooms: Served) -> None:
        """A feed that is none is named."""
        body = {"provider": "rongcloud", "endpoint": ENDPOINT, "api_feeds": ["chatroom-kw"]}
        response = rooms.ask("PUT", "/apps/rooms", body)
        assert 422 == response.status_code
        assert "/api_feeds/0" == response.json()["errors"][0]["field"]


def tencent(server: Served, call: str, body: Mapping[str, Any], secret: str, expire: int = 60) -> dict[str, Any]:
    """Call as Tencent's SDKs do, with a UserSig of our own making."""
    import base64
    import zlib

    now = int(time.time()) - 100
    names = {"TLS.ver": "2.0", "TLS.identifier": "admin", "TLS.sdkappid": 1_400_000_001, "TLS.expire": 100 + expire}
    signed = {**names, "TLS.time": now, "TLS.sig": usersig(secret, "admin", 1_400_000_001, now, 100 + expire)}
    packed = base64.b64encode(zlib.compress(json.dumps(signed).encode())).decode()
    query = {"sdkappid": "1400000001", "identifier": "admin", "random": "1", "contenttype": "json"}
    query["usersig"] = packed.translate(str.maketrans("+/=", "*-_"))
    response = requests.post(f"{server.url}/v4/{call}", params=query, data=json.dumps(body), timeout=30)
    found: dict[str, Any] = response.json()
    return found


class TestSecrets:
    """Tests for the secret of the server API."""

    @pytest.mark.parametrize(
        ("secret", "expire", "code"), [("ours", 60, 0), ("test-token", 60, 60004), ("ours", -1, 60004)]
    )
    def test_of_its_own(
        self, secret: str, expire: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is where `api_secret_ref` says; a UserSig by another one, or an old one, is none."""
        monkeypatch.setenv("IM_KEY", "ours")
        with served(tmp_path, rules=Rules(secret_variables=frozenset({"IM_KEY"}))) as server:
            settings = {"provider": "tencent", "endpoint": ENDPOINT, "api_secret_ref": "env:IM_KEY"}
            assert 201 == server.ask("PUT", "/apps/im", settings).status_code
            answer = tencent(server, "im_open_login_svc/account_import", {"UserID": "a"}, secret, expire)
            assert code == answer["ErrorCode"]

    def test_not_allowed(self, rooms: Served) -> None:
        """A reference that leads nowhere is told by its name."""
        body = {"provider": "rongcloud", "endpoint": ENDPOINT, "api_secret_ref": "env:NOT_THERE"}
        response = rooms.ask("PUT", "/apps/rooms", body)
        assert "/api_secret_ref" == response.json()["errors"][0]["field"]


class TestState:
    """Tests for what is kept."""

    def test_after_a_start(self, open_service: Callable[..., Service]) -> None:
        """What was answered is there after the next start, and goes with its application."""
        service = open_service()
        service.apps.put("rooms", AppSettings("rongcloud", ENDPOINT))
        request = _request(SET, ENTRY)
        assert {"code": 200} == _answer(service, request)
        service.close()
        again = open_service()
        found = _answer(again, _request("/chatroom/entry/query.json", {"chatroomId": "r"}))
        assert ["v"] == [one["value"] for one in found["keys"]]
        again.apps.remove("rooms")
        assert again._ledger.state("rooms", "room", "r") is None

    def test_pruned(self, open_service: Callable[..., Service]) -> None:
        """Messages are forgotten with old deliveries, rooms are not."""
        service = open_service()
        service.apps.put("rooms", AppSettings("rongcloud", ENDPOINT, api_feeds=()))
        uid = _answer(service, _request(SEND, MESSAGE))["messageUID"]
        _answer(service, _request(SET, ENTRY))
        assert service._ledger.state("rooms", "message", uid) is not None
        assert 1 == service._ledger.prune_state(service.clock().now + 1)
        assert service._ledger.state("rooms", "message", uid) is None
        assert service._ledger.state("rooms", "room", "r") is not None

    def test_at_once(self, rooms: Served) -> None:
        """Of many calls at once none is lost, and each version is another one."""
        threads = [
            threading.Thread(target=rong, args=(rooms, SET, {**ENTRY, "key": f"k{number}"})) for number in range(8)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        versions = {one.payloads[0]["version"] for one in rooms.service.deliveries()}
        assert 8 == len(versions)
        found = rong(rooms, "/chatroom/entry/query.json", {"chatroomId": "r"}).json()
        assert {f"k{number}" for number in range(8)} == {one["key"] for one in found["keys"]}


def _request(path: str, fields: Mapping[str, str]) -> Any:
    from urllib.parse import urlencode

    from im_callback.provider_mock.contract import ApiRequest

    headers = {"app-key": "test-key", "nonce": "1", "timestamp": "1", "signature": sha1("test-secret11")}
    return ApiRequest("POST", path, {}, headers, urlencode(fields).encode())


def _answer(service: Service, request: Any) -> dict[str, Any]:
    found = service.server_apis.answer(request)
    assert found is not None
    return dict(found.answer.body)


class TestOwner:
    """Tests for whose a path is."""

    @pytest.mark.parametrize(
        ("path", "due"),
        [
            ("/message/private/publish.json", "rongcloud"),
            ("/v4/openim/sendmsg", "tencent"),
            ("/v4/openim", None),
            ("/nimserver/msg/sendMsg.action", "commsease"),
            ("/im/v2/accounts", "commsease"),
            ("/", None),
        ],
    )
    def test_ours(self, path: str, due: str | None) -> None:
        """Each provider has paths that no other has."""
        assert due == server_apis.owner(path)

    def test_of_a_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A provider that has an API is played without a word about it elsewhere."""
        api = providers.load("rongcloud").api

        class Other(type(api)):  # type: ignore[misc]
            """The same calls, below a path of their own."""

            def owns(self, path: str) -> bool:
                """Return whether a path begins as this one's."""
                return path.startswith("/other/")

            def call(self, request: Any) -> Any:
                """Return the call behind the beginning."""
                return self.calls.get(request.path.removeprefix("/other"))

        monkeypatch.setattr(type(providers.load("rongcloud")), "api", Other())
        with served(tmp_path, script=OK) as server:
            server.service.apps.put("rooms", AppSettings("rongcloud", ENDPOINT))
            assert {"code": 200} == rong(server, f"/other{SET}", ENTRY).json()
            assert 404 == rong(server, SET, ENTRY).status_code
