"""The commands `record`, `replay` and `validate --recording`, from end to end."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.commands.shared import printed
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.make import Maker
from im_callback.provider_mock.delivery.perform import perform
from im_callback.provider_mock.delivery.plan import plan
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.traffic.world import tell

from tests.commands import Run
from tests.plugin.processes import receiver
from tests.provider_mock.peers import unused_port
from tests.provider_mock_faults.recorder import always, body_of, recorder
from tests.provider_mock_record.between import SECONDS, lines_of, recording
from tests.receivers.good import Good
from tests.receivers.serving import serve

COUNT = 60
LOGIN = {"eventType": "2", "accid": "zhangsan", "clientType": "IOS", "clientIp": "8.8.4.4", "code": "200"}
LOGIN |= {"sdkVersion": "155", "deviceId": "7f1a355e-526e-4523-b3df-44a47467537a", "timestamp": "1795986354521"}


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal."""
    monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)


def effects(base: str) -> list[Any]:
    """Return what a receiver of the examples shows, in an order of its own."""
    import requests

    return sorted(requests.get(f"{base}/effects", timeout=SECONDS).json(), key=json.dumps)


def traffic(url: str) -> None:
    """Send a stream of the generator's, one after the other: what overlaps may be applied in either order."""
    provider = providers.load("commsease")
    events = list(islice(tell(provider, Random(3), utc_millis(), 20.0, provider.usual_feeds), COUNT))
    maker = Maker(provider, provider.defaults, url, events, lambda: "nonce")
    assert all(one.acked for one in perform(plan(COUNT), maker, Courier(Client(SECONDS))))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, list[Any]]]:
    """Traffic of the generator on its way to a receiver, recorded twice: with and without people. And what it had for effects."""
    folder = tmp_path_factory.mktemp("recorded")
    as_is, scrubbed = folder / "as-is.jsonl", folder / "scrubbed.jsonl"
    with (
        receiver("receiver.py", folder) as base,
        recording(f"{base}/commsease", as_is, "--keep-people") as behind,
        recording(behind.url, scrubbed) as front,
    ):
        traffic(front.url)
        for one in (front, behind):
            ended = one.end()
            assert (0, "", COUNT, 0) == (ended.status, ended.err, ended.summary["acked"], ended.summary["not_written"])
            assert COUNT == sum(ended.summary["event_types"].values())
        yield as_is, scrubbed, effects(base)


class TestRecorded:
    """A recording of the traffic generator."""

    def test_replayed(self, recorded: tuple[Path, Path, list[Any]], run: Run, tmp_path: Path) -> None:
        """Replayed, a new receiver has the same effects, to the last byte."""
        as_is, _, expected = recorded
        with receiver("receiver.py", tmp_path) as base:
            ran = run("replay", str(as_is), "--to", f"{base}/commsease", "--speed", "max")
            assert (0, "") == (ran.status, ran.err)
            assert list(range(1, COUNT + 1)) == sorted(one["delivery"] for one in ran.lines)
            assert expected == effects(base)
            # Once more is nothing new.
            assert 0 == run("replay", str(as_is), "--to", f"{base}/commsease", "--speed", "max").status
            assert expected == effects(base)
            # With new identities it all happens again, beside the first, also when it is disturbed.
            again = ("--fresh", "--seed", "1", "--fault", "duplicate", "--fault", "lose-ack")
            assert 0 == run("replay", str(as_is), "--to", f"{base}/commsease", "--speed", "max", *again).status
            assert 2 * len(expected) == len(effects(base))

    def test_scrubbed(self, recorded: tuple[Path, Path, list[Any]], run: Run, tmp_path: Path) -> None:
        """Without people, the effects are the same but for the stand-ins: as many, of the same kinds, related alike."""
        _, scrubbed, expected = recorded
        with receiver("receiver.py", tmp_path) as base:
            ran = run("replay", str(scrubbed), "--to", f"{base}/commsease", "--speed", "max")
            assert (0, "") == (ran.status, ran.err)
            found = effects(base)
        assert len(expected) == len(found)
        by_time = [sorted(each, key=lambda one: (_time(one), str(one.get("eventType")))) for each in (expected, found)]
        assert [_time(one) for one in by_time[0]] == [_time(one) for one in by_time[1]]
        # What the same account was is the same stand-in, and the other way round.
        pairs = {
            (one["accid"], other["accid"])
            for one, other in zip(*by_time, strict=True)
            if "accid" in one and _alone(one, by_time[0])
        }
        assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
        originals = {one["accid"] for one in expected if "accid" in one}
        assert originals
        text = scrubbed.read_text(encoding="utf-8")
        assert not [one for one in originals if one in text]

    def test_lines(self, recorded: tuple[Path, Path, list[Any]]) -> None:
        """Both hold the same exchanges; one of them with signatures, the other with neither these nor people."""
        as_is, scrubbed, _ = recorded
        ones, others = lines_of(as_is), lines_of(scrubbed)
        assert COUNT == len(ones) == len(others)
        assert [one["event_types"] for one in _sorted(ones)] == [one["event_types"] for one in _sorted(others)]
        assert {False} == {one["scrubbed"] for one in ones}
        assert {True} == {one["scrubbed"] for one in others}
        assert {"scrubbed"} == {
            one["value"] for line in others for one in line["request"]["headers"] if one["name"] == "CheckSum"
        }

    def test_verified(self, recorded: tuple[Path, Path, list[Any]], run: Run) -> None:
        """A line with people is an attempt whose signature can be checked."""
        line = recorded[0].read_text(encoding="utf-8").splitlines()[0]
        assert {"feed": "commsease.data-sync", "valid": True, "problem": None} == run(
            "verify", "commsease", "--attempt", stdin=line.encode()
        ).summary

    def test_valid(self, recorded: tuple[Path, Path, list[Any]], run: Run) -> None:
        """All that the generator makes fits the schemas."""
        for file in recorded[:2]:
            ran = run("validate", "commsease", "--recording", str(file))
            assert (0, "") == (ran.status, ran.err)
            assert COUNT == sum(one["valid"] for one in ran.lines)
            assert ran.lines == run("validate", "commsease", str(file)).lines


def _time(record: Any) -> str:
    return str(next((record[name] for name in ("timestamp", "msgTimestamp", "createtime") if name in record), ""))


def _alone(record: Any, among: list[Any]) -> bool:
    return 1 == sum(_time(record) == _time(one) for one in among)


def _sorted(lines: list[Any]) -> list[Any]:
    return sorted(
        lines, key=lambda one: json.loads(one["request"]["body"]).get("timestamp") or one["request"]["body"][:0]
    )


class TestRecord:
    """What is typed, and how it ends."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signal(self, number: signal.Signals, tmp_path: Path) -> None:
        """A signal ends it in order, with nothing recorded, too."""
        with recorder() as there, recording(there.url, tmp_path / "r.jsonl") as one:
            assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/cb", one.url)
            ended = one.end(number)
        assert (0, "") == (ended.status, ended.err)
        assert {"summary": True, "acked": 0, "unknown": 0, "event_types": {}}.items() <= ended.summary.items()

    def test_killed(self, tmp_path: Path, run: Run) -> None:
        """What it has told of is on the disk, whatever becomes of it; the next one goes on in the same file."""
        file = tmp_path / "r.jsonl"
        with recorder() as there:
            for _ in range(2):
                with recording(there.url, file) as one:
                    assert 0 == run("send", "commsease.login", "--to", one.url, "--count", "3").status
                    assert one.process.stdout is not None
                    told = [json.loads(one.process.stdout.readline()) for _ in range(3)]
                    one.process.kill()
                    one.process.communicate(timeout=SECONDS)
        assert ["acked"] * 3 == [line["outcome"] for line in told]
        assert [["commsease.login"]] * 6 == [line["event_types"] for line in lines_of(file)]

    def test_outcomes(self, tmp_path: Path, run: Run) -> None:
        """Each exchange is told, by the provider's own rule; what nobody knows is forwarded as well."""
        import requests

        file = tmp_path / "r.jsonl"
        with (
            recorder(always(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")) as there,
            recording(there.url, file) as one,
        ):
            assert 1 == run("send", "rongcloud.chatroom-kv", "--to", one.url).status
            assert 401 == requests.post(one.url, data="hello", timeout=SECONDS).status_code
            ended = one.end()
        assert [("rongcloud", "refused", 401), (None, None, 401)] == [
            (line["provider"], line["outcome"], line["status"]) for line in ended.lines[:-1]
        ]
        assert (1, 1) == (ended.summary["refused"], ended.summary["unknown"])
        assert b"hello" in there.received[1]
        assert "hello" not in file.read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("expected", "arguments"),
        [
            ("--out /nowhere/r.jsonl cannot be written", ("--listen", "0", "--out", "/nowhere/r.jsonl")),
            ("--listen x: give a whole number from 0 up to 65535", ("--listen", "x", "--out", "r.jsonl")),
            (
                "--to holds a user name or password; leave it out",
                ("--to", "http://a:b@h/", "--listen", "0", "--out", "r"),
            ),
            ("cannot be listened on", ("--listen", "192.0.2.1:0", "--out", "r.jsonl")),
        ],
    )
    def test_mistakes(
        self, expected: str, arguments: tuple[str, ...], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What cannot be used is said in a sentence."""
        monkeypatch.chdir(tmp_path)
        ran = run("record", "--to", "http://127.0.0.1:1/", *arguments)
        assert 2 == ran.status
        assert expected in ran.err


def line(payload: Any, *, sent_at: int = 1000, replied_at: int = 1001, **more: Any) -> str:
    """Return the line of a request of CommsEase that was acknowledged."""
    body = payload if isinstance(payload, str) else json.dumps(payload)
    request = {
        "method": "POST",
        "url": "http://h/cb",
        "headers": [],
        "chunked": False,
        "body": body,
        "body_encoding": "utf-8",
    }
    told = {
        "recorded": 1,
        "provider": "commsease",
        "feed": "data-sync",
        "event_types": ["commsease.login"],
        "outcome": "acked",
    }
    told |= {
        "scrubbed": False,
        "sent_at": sent_at,
        "replied_at": replied_at,
        "request": request,
        "lost": None,
        "broken": None,
    }
    return (
        json.dumps({**told, "reply": {"status": 200, "headers": [], "body": "", "body_encoding": "utf-8"}, **more})
        + "\n"
    )


class TestReplay:
    """What is sent again, and how."""

    def test_signed_afresh(self, run: Run) -> None:
        """The bytes of the body are the recorded ones, the signature is that of the given credentials."""
        body = '{ "eventType":"2","accid":"\\u5f20","timestamp" : "1795986354521" }'
        with serve(Good("commsease")) as url:
            assert 1 == run("replay", "-", "--to", url, "--app-secret", "other", stdin=line(body).encode()).status
            ran = run("replay", "-", "--to", url, stdin=line(body).encode())
        assert (0, "acked", "commsease.login") == (ran.status, ran.summary["outcome"], ran.summary["event_type"])
        with recorder() as there:
            run("replay", "-", "--to", there.url, stdin=line(body).encode())
            run("replay", "-", "--to", there.url, "--fault", "reformat", stdin=line(body).encode())
        assert body.encode() == body_of(there.received[0])
        assert body.encode() != body_of(there.received[1])

    def test_order(self, run: Run) -> None:
        """They go out in the order in which they began, whatever order the lines have; the fault is on top."""
        lines = [line({**LOGIN, "accid": f"a{n}"}, sent_at=1000 + n * 10, replied_at=1005 + n * 10) for n in (2, 0, 1)]
        with recorder() as there:
            ran = run(
                "replay",
                "-",
                "--to",
                there.url,
                "--speed",
                "1000",
                "--fault",
                "duplicate",
                stdin="".join(lines).encode(),
            )
        assert (0, "") == (ran.status, ran.err)
        accounts = [json.loads(body_of(one))["accid"] for one in there.order]
        assert ["a0", "a0", "a1", "a1", "a2", "a2"] == accounts

    def test_http_archive(self, run: Run) -> None:
        """A HAR file is sent as well."""
        entry = {"startedDateTime": "2026-11-29T21:00:00Z", "time": 3, "response": {"status": 200, "headers": []}}
        entry["request"] = {
            "method": "POST", "url": "http://h/cb", "headers": [{"name": "CheckSum", "value": "x"}],
            "postData": {"mimeType": "application/json", "text": json.dumps(LOGIN)},
        }  # fmt: skip
        with serve(Good("commsease")) as url:
            ran = run("replay", "-", "--to", url, stdin=json.dumps({"log": {"entries": [entry]}}).encode())
        assert (0, ["acked"]) == (ran.status, [one["outcome"] for one in ran.lines])

    def test_passed_over(self, run: Run) -> None:
        """What cannot be sent again is counted, with the reason."""
        lines = line(LOGIN) + line(LOGIN, broken="cut") + line({**LOGIN, "eventType": "777"}) + line("hello")
        with recorder() as there:
            ran = run("replay", "-", "--to", there.url, "--provider", "commsease", stdin=lines.encode())
        assert (0, 1) == (ran.status, len(there.order))
        assert [
            "note: 1 request is not sent: the request is broken",
            "note: 1 request is not sent: its event type is unknown",
            "note: 1 request is not sent: it is no request of commsease",
        ] == ran.err.splitlines()

    def test_people(self, run: Run, on_terminal: None) -> None:
        """On a terminal: a line for each attempt."""
        with recorder() as there:
            ran = run("replay", "-", "--to", there.url, stdin=line(LOGIN).encode())
        assert re.fullmatch(
            r"1, commsease\.login: acked in [0-9]+ ms: status 200; CommsEase takes 200 and 500 as received\n", ran.out
        )

    @pytest.mark.parametrize(
        ("expected", "data", "arguments"),
        [
            ("it is empty", "", ()),
            ("it is neither a recording nor a HAR file", "[]", ()),
            ("--speed 0: give a number of times, or max, above 0", line(LOGIN), ("--speed", "0")),
            ("there is no request of rongcloud in it", line(LOGIN), ("--provider", "rongcloud")),
            ("there is no request of a provider that is known", line("hello", provider=None, feed=None), ()),
            (
                "there are requests of several providers (1 of commsease, 1 of rongcloud); choose one",
                line(LOGIN) + line("[]", provider="rongcloud", feed="chatroom-kv"),
                (),
            ),
        ],
    )
    def test_mistakes(self, expected: str, data: str, arguments: tuple[str, ...], run: Run) -> None:
        """What cannot be used is said in a sentence."""
        ran = run("replay", "-", "--to", f"http://127.0.0.1:{unused_port()}/", *arguments, stdin=data.encode())
        assert 2 == ran.status, ran.err
        assert expected in ran.err
        assert 1 == len([one for one in ran.err.splitlines() if not one.startswith("note: ")])


class TestValidate:
    """What the provider really sent, and the schemas refuse."""

    LINES = (
        line(LOGIN)
        + line({**LOGIN, "timestamp": {"at": "zhangsan"}}) * 2
        + line({**LOGIN, "eventType": "777"})
        + line("hello")
        + line("[]", provider="rongcloud")
    )

    def test_named(self, run: Run) -> None:
        """A field of another type is named, with how often, and without people's data; so is an unknown event type."""
        ran = run("validate", "commsease", "--recording", "-", stdin=self.LINES.encode())
        assert (1, "note: 1 request is none of commsease, or not whole; passed over\n") == (ran.status, ran.err)
        types, refused, unknown, unread = ran.lines
        assert {"event_type": "commsease.login", "valid": 1, "not_valid": 2} == types
        assert ("commsease.login", "/timestamp", "an object", 2) == tuple(
            refused[name] for name in ("event_type", "pointer", "found", "count")
        )
        assert re.fullmatch(r'is \{"[a-z]{2}":"[a-z]{8}"\}; due is string or integer', refused["message"])
        assert (None, "unknown event type: eventType 777", 1) == tuple(
            unknown[name] for name in ("event_type", "message", "count")
        )
        assert {"unreadable": 1} == unread
        assert "zhangsan" not in ran.out

    def test_to_paste(self, run: Run, on_terminal: None) -> None:
        """On a terminal it is Markdown for an issue."""
        ran = run("validate", "commsease", "-", stdin=self.LINES.encode())
        assert 1 == ran.status
        assert ran.out.startswith("NetEase CommsEase: 4 of 5 recorded payloads do not fit the schemas.\n")
        assert "\n### commsease.login: 2 of 3\n\n- `/timestamp` is {" in ran.out
        assert "; due is string or integer (2 times)\n\n```json\n{\n" in ran.out
        assert "\n### unknown event type: eventType 777 (1 time)\n" in ran.out
        assert "zhangsan" not in ran.out

    def test_all_fit(self, run: Run, on_terminal: None) -> None:
        """It is said, too, where nothing differs."""
        ran = run("validate", "commsease", "--recording", "-", stdin=(line(LOGIN) * 2).encode())
        assert (0, "NetEase CommsEase: all recorded payloads fit the schemas (2).\n") == (ran.status, ran.out)

    @pytest.mark.parametrize(
        ("status", "lines"),
        [(0, line(LOGIN)), (2, line({**LOGIN, "eventType": "777"})), (4, "{}"), (4, line("[]", provider="rongcloud"))],
    )
    def test_status(self, status: int, lines: str, run: Run) -> None:
        """The statuses are those of a body."""
        assert status == run("validate", "commsease", "--recording", "-", stdin=lines.encode()).status
