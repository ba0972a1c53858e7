"""The providers' own SDKs, unmodified, whose host is the server: the callbacks of the real service reach a receiver.

The Python ones live in a folder of their own beside the environment's packages: what they do to it is their affair.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock.server.options import AppSettings

from tests.programs import needed
from tests.provider_mock_server.served import Served, served
from tests.provider_mock_server.waiting import until
from tests.sdks.receivers import REPLACED, OfRongCloud, OfTencent, Receiver

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
TOOL = Path(sys.prefix) / "sdks"
PATIENCE = 300


@contextmanager
def app(folder: Path, provider: str, receiver: Receiver, **more: Any) -> Iterator[Served]:
    """Serve an application of a provider, whose deliveries come to a receiver one after the other."""
    with served(folder, script=receiver) as server:
        settings = AppSettings(
            provider, "http://127.0.0.1:9/cb", concurrency=1, api_secret=more.pop("api_secret", None)
        )
        # As if it stood in the file, which alone can hold this secret.
        entry = server.service.apps._checked("team", settings, "config:test", "config")
        server.service.apps._enter(entry)
        yield server


def said(command: Sequence[str], folder: Path) -> list[Any]:
    """Return what a client was answered, call by call."""
    env = {**os.environ, "PYTHONPATH": str(TOOL), "NODE_PATH": str(folder / "node_modules"), "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert 0 == done.returncode, done.stderr + done.stdout
    return json.loads(done.stdout)


def run(command: Sequence[str], folder: Path) -> None:
    """Run what fetches an SDK or builds its client."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


def kinds(receiver: Receiver) -> list[str]:
    """Return what came, in a word each."""
    return [_kind(payload) for _, payload in receiver.came]


def _kind(payload: Any) -> str:
    if isinstance(payload, list):
        return "attribute" if "optType" in payload[0] else "room"
    if "channelType" in payload:
        return "asked" if "messageId" in payload else "message"
    return "recall" if "originalMsgInfo" in payload else "group"


MESSAGES = ["asked", "message", "asked", "message", "asked", "recall", "room"]
"""Of three messages the last is refused; the first is recalled, and a room is made."""


def check_messages(receiver: Receiver, answers: Sequence[Any], recalled: tuple[str, int] | None = None) -> None:
    """Check what the receiver has decided, and what was sent of it; the first message is recalled, if no other."""
    assert [] == receiver.bad
    assert [200] * len(answers) == [one["code"] for one in answers]
    messages = [payload for _, payload in receiver.came if _kind(payload) == "message"]
    assert ["hello", REPLACED] == [json.loads(one["content"])["content"] for one in messages]
    asked = [payload for _, payload in receiver.came if _kind(payload) == "asked"]
    assert [one["messageId"] for one in asked[:2]] == [one["msgUID"] for one in messages]
    (recall,) = [payload for _, payload in receiver.came if _kind(payload) == "recall"]
    uid, time = recalled or (messages[0]["msgUID"], int(messages[0]["msgTimestamp"]))
    assert {"messageId": uid, "messageTime": time} == recall["originalMsgInfo"]
    assert recall["optTime"] > int(messages[1]["msgTimestamp"]) > int(messages[0]["msgTimestamp"])


class TestRongCloud:
    """Tests for its SDKs, in three languages."""

    def test_python(self, tmp_path: Path) -> None:
        """`rc-server-sdk`: it escapes nothing, and signs in seconds."""
        assert TOOL.is_dir(), f"{TOOL} is missing; `make test` installs it"
        receiver = OfRongCloud("test-secret")
        with app(tmp_path / "server", "rongcloud", receiver) as server:
            answers = said([sys.executable, str(HERE / "rongcloud" / "client.py"), server.url], tmp_path)
            until(lambda: kinds(receiver), MESSAGES)
        assert MESSAGES == kinds(receiver)
        check_messages(receiver, answers)

    def test_node(self, tmp_path: Path) -> None:
        """`rongcloud-sdk`: one nonce and one time for all its requests."""
        needed("node", "npm")
        for name in ("package.json", "package-lock.json"):
            (tmp_path / name).write_bytes((HERE / "rongcloud" / name).read_bytes())
        run(["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], tmp_path)
        receiver = OfRongCloud("test-secret")
        with app(tmp_path / "server", "rongcloud", receiver) as server:
            answers = said(["node", str(HERE / "rongcloud" / "client.js"), server.url], tmp_path)
            until(lambda: kinds(receiver), MESSAGES)
        assert MESSAGES == kinds(receiver)
        check_messages(receiver, answers)

    def test_java(self, tmp_path: Path) -> None:
        """`server-sdk-java`: attributes too, each change with a higher version than the one before."""
        needed("java", "javac", "mvn")
        pom = str(HERE / "rongcloud" / "pom.xml")
        run(
            ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={tmp_path / 'jars'}"],
            tmp_path,
        )
        path = f"{tmp_path / 'jars'}/*:{tmp_path}"
        run(["javac", "-cp", path, "-d", str(tmp_path), str(HERE / "rongcloud" / "Client.java")], tmp_path)
        receiver = OfRongCloud("test-secret")
        due = [*MESSAGES, "attribute", "attribute", "attribute"]
        with app(tmp_path / "server", "rongcloud", receiver) as server:
            answers = said(["java", "-cp", path, "Client", server.url], tmp_path)
            until(lambda: kinds(receiver), due)
        assert due == kinds(receiver)
        check_messages(receiver, answers, ("5FGT-7VA9-G4DD-4V5P", 1_500_000_000_000))
        changes = [payload[0] for _, payload in receiver.came if _kind(payload) == "attribute"]
        assert [(1, "score", "1"), (1, "score", "2"), (2, "score", "2")] == [
            (one["optType"], one["key"], one["value"]) for one in changes
        ]
        versions = [one["version"] for one in changes]
        assert versions == sorted(set(versions))
        (entry,) = next(one for one in answers if "keys" in one)["keys"]
        assert ("score", "2", str(versions[1])) == (entry["key"], entry["value"], entry["lastSetTime"])


class TestTencent:
    """Tests for `tencentcloud-sdk-python-im`, which signs with `tls-sig-api-v2`."""

    def test_python(self, tmp_path: Path) -> None:
        """It has a secret key that is another one than the callbacks' token, and no Content-Type."""
        assert TOOL.is_dir(), f"{TOOL} is missing; `make test` installs it"
        receiver = OfTencent("test-token")
        with app(tmp_path / "server", "tencent", receiver, api_secret="secret-key") as server:
            answers = said([sys.executable, str(HERE / "tencent" / "client.py"), server.url], tmp_path)
            until(lambda: len(receiver.came), 19)
        assert [] == receiver.bad
        after = "C2C.CallbackAfterSendMsg"
        assert [
            *("C2C.CallbackBeforeSendMsg", after),
            *("C2C.CallbackBeforeSendMsg", after),
            "C2C.CallbackBeforeSendMsg",
            "C2C.CallbackBeforeSendMsg",
            "C2C.CallbackAfterMsgWithDraw",
            *("Group.CallbackBeforeCreateGroup", "Group.CallbackAfterCreateGroup"),
            *("Group.CallbackBeforeInviteJoinGroup", "Group.CallbackAfterNewMemberJoin"),
            *["Group.CallbackAfterGroupAttrChanged"] * 2,
            *("Group.CallbackBeforeSendMsg", "Group.CallbackAfterSendMsg"),
            "Group.CallbackAfterRecallMsg",
            "Group.CallbackAfterGroupDestroyed",
        ] == [query["CallbackCommand"] for query, _ in receiver.came]
        assert [0, 0, 0, 120_005, *[0] * 10, 60_004] == [one["ErrorCode"] for one in answers]
        words = [p["MsgBody"][0]["MsgContent"]["Text"] for q, p in receiver.came if q["CallbackCommand"] == after]
        assert ["hello", REPLACED] == words
        joined = next(p for q, p in receiver.came if q["CallbackCommand"] == "Group.CallbackAfterNewMemberJoin")
        assert [{"Member_Account": "bob"}] == joined["NewMemberList"]
        assert [1, 0] == [one["Result"] for one in answers[7]["MemberList"]]
        assert [{"key": "topic", "value": "two"}] == answers[10]["GroupAttrAry"]
