"""The stories: what must be true of their order, whatever the seed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.providers.commsease import CommsEase
from im_callback.provider_mock.providers.tencent.signing import TokenSigned
from im_callback.provider_mock.traffic import stage
from im_callback.provider_mock.traffic.world import InvalidEvent, NothingToTell, tell
from im_callback.schemas import Catalogue, occurrences, resolve

NAMES = ["commsease", "rongcloud", "tencent"]
START = 1_767_225_600_000
COUNT = 2000


@cache
def deliveries(name: str, seed: int = 1, count: int = COUNT, pace: float = stage.PACE) -> list[tuple[Event, ...]]:
    """Return the first deliveries of a story."""
    return list(islice(tell(providers.load(name), Random(seed), START, pace), count))


def events(name: str, *types: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the short name and the payload of each event, of these types if any are named."""
    for delivery in deliveries(name):
        for event in delivery:
            short = event.type.partition(".")[2]
            if not types or short in types:
                yield short, event.payload


class TestEveryStory:
    """What holds for each provider."""

    @pytest.mark.parametrize("name", NAMES)
    def test_one_of_a_kind(self, name: str) -> None:
        """Every payload is recognised, and no two events have one identity."""
        catalogue = providers.load(name).catalogue
        seen: set[str] = set()
        for delivery in deliveries(name):
            for event in delivery:
                event_type = catalogue.identify(event.payload)
                assert event_type is not None
                assert event.type == event_type.name
                for one in occurrences(event_type, event.payload):
                    identity = json.dumps([event.type, [_at(one, pointer) for pointer in event_type.identity or ()]])
                    assert identity not in seen
                    seen.add(identity)

    @pytest.mark.parametrize("name", NAMES)
    def test_valid(self, name: str) -> None:
        """Every payload is valid by its schema: `tell` has looked at all of them, this looks again at some."""
        catalogue = providers.load(name).catalogue
        told = [event for delivery in deliveries(name)[::10] for event in delivery]
        assert [] == [problem for event in told for problem in catalogue[event.type].problems(event.payload)]

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("pace", [0.1, 5000.0])
    def test_order(self, name: str, pace: float) -> None:
        """Within its scope every event is later than the one before it, however fast they follow each other."""
        catalogue = providers.load(name).catalogue
        last: dict[str, tuple[int, ...]] = {}
        for delivery in deliveries(name, count=300, pace=pace):
            for event in delivery:
                order = catalogue[event.type].order
                if order is not None:
                    scope = json.dumps([order.group, [_at(event.payload, pointer) for pointer in order.scope]])
                    place = tuple(int(_at(event.payload, pointer)) for pointer in order.by)
                    assert place > last.get(scope, ())
                    last[scope] = place

    def test_same_bytes(self) -> None:
        """The same seed and start give the same bytes, whatever the hash seed; another seed gives others."""
        program = (
            "from tests.provider_mock_traffic.test_world import NAMES, digest\n"
            "print(*(digest(name, 7) for name in NAMES))\n"
        )
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), *sys.path]))
        found = [
            subprocess.run(
                [sys.executable, "-c", program],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            ).stdout.split()
            for seed in ("0", "1")
        ]
        here = [digest(name, 7) for name in NAMES]
        assert [here, here] == found
        assert not {digest(name, 8) for name in NAMES} & set(here)

    def test_invalid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A payload that is not valid is our error, and does not leave."""
        monkeypatch.setattr(stage, "SENTENCES", ("x" * 5001,))
        with pytest.raises(InvalidEvent, match=r"the story of commsease\.conversation is not valid"):
            list(islice(tell(providers.load("commsease"), Random(1), START), COUNT))

    def test_other_providers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What has no story is made up; what describes nothing is an error that says what to do."""

        sent = providers.load("tencent").catalogue["tencent.c2c-after-send"]

        class Silent(TokenSigned):
            name = "after"

        class Other(CommsEase):
            name = "other"
            catalogue = Catalogue("other", {sent.name: sent})

        found = list(islice(tell(Other(Silent()), Random(1), START), 5))
        assert ["tencent.c2c-after-send"] * 5 == [event.type for (event,) in found]
        monkeypatch.setattr(Other, "catalogue", Catalogue("other", {}))
        with pytest.raises(NothingToTell, match="other describes no event type"):
            next(tell(Other(Silent()), Random(1), START))


class TestCommsEase:
    """People."""

    def test_presence(self) -> None:
        """Nobody does anything before the login or after the logout, and rooms are left before that."""
        online: set[str] = set()
        inside: set[tuple[str, str]] = set()
        logouts = 0
        for name, payload in events("commsease"):
            actor = payload.get("accid") or payload.get("fromAccount") or payload.get("from")
            if name == "login":
                assert actor not in online
                online.add(actor)
            elif actor is not None:
                assert actor in online
            if name == "logout":
                logouts += 1
                assert actor not in {person for _, person in inside}
                online.remove(actor)
            elif name == "chatroom-in-out":
                place = (payload["roomId"], actor)
                assert (payload["event"] == "IN") == (place not in inside)
                inside ^= {place}
            elif name == "chatroom-message":
                assert (payload["roomId"], actor) in inside
        assert logouts > 10

    def test_messages(self) -> None:
        """Recalls and receipts name messages that were sent before, and that are still there; each once."""
        sent: dict[str, dict[str, Any]] = {}
        read: set[str] = set()
        recalls = 0
        for name, payload in events("commsease"):
            if name == "conversation":
                sent[payload["msgidClient"]] = payload
            elif name in ("message-recall", "team-message-recall"):
                recalls += 1
                message = sent.pop(payload["clientId"])
                assert (message["msgidServer"], message["fromAccount"], message["to"]) == (
                    payload["msgId"],
                    payload["from"],
                    payload["to"],
                )
                assert message["msgTimestamp"] == payload["sendTime"] < payload["deleteTime"]
                assert (message["convType"] == "TEAM") == (name == "team-message-recall")
            elif name == "read-receipt":
                for receipt in json.loads(payload["objects"]):
                    message = sent[receipt["msgidClient"]]
                    assert (message["to"], message["fromAccount"]) == (receipt["fromAccount"], receipt["toAccount"])
                    assert int(message["msgTimestamp"]) < receipt["timestamp"]
                    assert receipt["msgidClient"] not in read
                    read.add(receipt["msgidClient"])
        assert recalls > 10
        assert len(read) > 10

    def test_now_and_then(self) -> None:
        """Everything that the story has to tell is told."""
        told = {name for name, _ in events("commsease")}
        assert {"heartbeat", "sms-receipt", "sms-uplink", "call-duration", "upload-task"} < told


class TestRongCloud:
    """Rooms."""

    def test_attributes(self) -> None:
        """Only what is set is deleted or cleared, and in each room the version rises."""
        rooms: dict[str, set[str]] = {}
        versions: dict[str, int] = {}
        seen = set()
        for _, payload in events("rongcloud"):
            room, kind = payload["chatroomId"], payload["optType"]
            keys = rooms.setdefault(room, set())
            assert payload["version"] > versions.get(room, 0)
            versions[room] = payload["version"]
            seen.add(kind)
            if kind == 1:
                keys.add(payload["key"])
            elif kind == 2:
                keys.remove(payload["key"])
            else:
                assert keys
                assert "key" not in payload
                keys.clear()
        assert {1, 2, 3} == seen

    def test_batches(self) -> None:
        """Now and then an array has several entries."""
        sizes = [len(delivery) for delivery in deliveries("rongcloud")]
        assert {1, 2, 3, 4, 5} == set(sizes)
        assert sizes.count(1) > COUNT / 2


class TestTencent:
    """Conversations."""

    def test_messages(self) -> None:
        """MsgKey fits, every sender's MsgSeq rises, and a failed send now and then has its error."""
        numbers: dict[str, int] = {}
        failed = 0
        event_type = providers.load("tencent").catalogue["tencent.c2c-after-send"]
        for _, payload in events("tencent", "c2c-after-send"):
            sequence, random, time = (payload[name] for name in ("MsgSeq", "MsgRandom", "MsgTime"))
            assert f"{sequence}_{random}_{time}" == payload["MsgKey"]
            assert sequence > numbers.get(payload["From_Account"], 0)
            assert payload["From_Account"] != payload["To_Account"]
            numbers[payload["From_Account"]] = sequence
            failed += event_type.failed(payload)
            assert event_type.failed(payload) == (payload["ErrorInfo"] != "send msg succeed")
        assert 0 < failed < COUNT / 10


def digest(name: str, seed: int) -> str:
    """Return a digest of the bytes of a story's beginning."""
    found = [[[event.type, event.payload] for event in one] for one in deliveries(name, seed, 100)]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _at(payload: Any, pointer: str) -> Any:
    return resolve(payload, pointer, None)
