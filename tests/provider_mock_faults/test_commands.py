"""The commands `provider-mock faults` and `provider-mock send --fault`: what is typed, printed and returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from im_callback.provider_mock.commands.shared import printed
from im_callback.provider_mock.delivery import faults

from tests.commands import Ran, Run
from tests.provider_mock.peers import unused_port
from tests.provider_mock_faults.recorder import Answer, Recorder, always, body_of, recorder
from tests.receivers.good import Good
from tests.receivers.serving import serve

REFUSING = always(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
SAMPLES = {"commsease": "commsease.login", "rongcloud": "rongcloud.chatroom-kv", "tencent": "tencent.c2c-after-send"}


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal."""
    monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)


class TestFaults:
    """Tests for `provider-mock faults`."""

    def test_lines(self, run: Run) -> None:
        """Piped: every fault with its sentence and its attributes, as JSON lines."""
        ran = run("faults")
        assert (0, "") == (ran.status, ran.err)
        assert list(faults.load()) == [one["name"] for one in ran.lines]
        assert {
            "name": "reverse",
            "sentence": "Send the deliveries in reverse order.",
            "attributes": {"window": {"default": 0, "meaning": "reverse only among so many neighbours; 0: all"}},
        } in ran.lines
        (case,) = [one["attributes"]["case"] for one in ran.lines if one["name"] == "header-case"]
        assert {"default": "lower", "meaning": "how they are written", "choices": ["lower", "upper"]} == case

    def test_people(self, run: Run, on_terminal: None) -> None:
        """On a terminal: to be read."""
        ran = run("faults")
        assert (
            "wrong-content-length\n"
            "    Promise another body length than is sent, and send again.\n"
            "    times=1                  attempts in a row that fail\n"
            "    gap=0                    seconds until the next attempt\n"
            "    retry=true               whether it is then sent again, undisturbed\n"
            "    every=1                  disturb the first of every so many deliveries\n"
            "    by=1                     bytes too many that are promised; below 0: too few\n"
            "    after=0                  seconds until it is given up; 0: the provider's own deadline\n"
        ) in ran.out

    def test_installed(self) -> None:
        """The installed script has it."""
        script = Path(sys.executable).with_name("provider-mock")
        done = subprocess.run([script, "faults"], capture_output=True, check=True, env=dict(os.environ))
        assert len(faults.load()) <= len(done.stdout.splitlines())


def saying(status: int, body: bytes) -> Answer:
    """Return the answer that says this."""
    return always(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


class TestWords:
    """What `provider-mock send` tells of a receiver that answers with an error of its own."""

    @pytest.mark.parametrize("provider", SAMPLES)
    def test_declined(self, run: Run, provider: str) -> None:
        """A 200 whose words say no is no acknowledgement: exit status 1, with the words."""
        words = '{"code":414,"msg":"签名错误"}'
        with recorder(saying(200, words.encode())) as there:
            ran = run("send", SAMPLES[provider], "--to", there.url)
        assert (1, "") == (ran.status, ran.err)
        (line,) = ran.lines
        assert ("declined", 200, False) == (line["outcome"], line["status"], line["as_expected"])
        assert f"status 200, but the receiver's own words decline it: {words}" == line["rule"]
        assert f"200 {words}" == line["words"]

    def test_one_of_several(self, run: Run) -> None:
        """One that was declined is enough."""
        answers = [saying(200, b"ok"), saying(200, b"fail")]
        with recorder(lambda number, data: answers[number - 1](number, data)) as there:
            ran = run("send", "commsease.login", "--to", there.url, "--count", "2")
        assert (1, ["acked", "declined"]) == (ran.status, [one["outcome"] for one in ran.lines])

    def test_people(self, run: Run, on_terminal: None) -> None:
        """On a terminal: the rule, and for a refusal what came with it; nothing that plays with the terminal."""
        with recorder(saying(200, b'{"ret":-1,\n"msg":"\x1b[31m"}')) as there:
            ran = run("send", "rongcloud.chatroom-kv", "--to", there.url)
        assert 1 == ran.status
        assert ran.out.endswith('status 200, but the receiver\'s own words decline it: {"ret":-1, "msg":"\\x1b[31m"}\n')
        with recorder(saying(403, b"invalid sign\r\n")) as there:
            ran = run("send", "rongcloud.chatroom-kv", "--to", there.url)
        assert ran.out.endswith("status 403; RongCloud takes 200 as received; it says: 403 invalid sign\n")

    @pytest.mark.parametrize("status", [200, 401])
    def test_secret(self, run: Run, status: int) -> None:
        """A receiver that tells our secret is not repeated."""
        with recorder(saying(status, b"error: sign with hush-hush, please")) as there:
            ran = run("send", "commsease.login", "--to", there.url, "--app-secret", "hush-hush")
        assert 1 == ran.status
        assert "hush-hush" not in ran.out + ran.err
        assert "error: sign with ***, please" in ran.out


class TestSend:
    """Tests for `provider-mock send --fault`."""

    @pytest.mark.parametrize("provider", SAMPLES)
    def test_every_fault(self, run: Run, provider: str) -> None:
        """A good receiver behind a production server gives every fault what it owes for it."""
        quick = {
            "time-out": "after=1",
            "half-open": "after=1",
            "wrong-content-length": "after=1",
            "slow-start": "seconds=0.01",
            "delay": "seconds=0.01",
            "oversize": "bytes=300000",
        }
        gone = {
            "commsease": {"previous-secret", "tamper-nonce"},
            "rongcloud": {"previous-secret", "tamper-digest"},
            "tencent": {"previous-secret", "tamper-digest", "tamper-nonce"},
        }
        wrong = {}
        with serve(Good(provider)) as url:
            for name in faults.load():
                ran = run("send", SAMPLES[provider], "--to", url, "--fault", f"{name}:{quick.get(name, '')}")
                if ran.status != (2 if name in gone[provider] else 0):
                    wrong[name] = ran
        assert {} == wrong

    def test_line(self, run: Run) -> None:
        """Piped: which attempt of which copy of which delivery it was, and what was due."""
        with recorder() as there:
            ran = run("send", "commsease.login", "--to", there.url, "--fault", "lose-ack")
        first, retry = ran.lines
        assert {
            "outcome": "unreachable",
            "rule": "connection lost: closed on purpose before the reply was read",
            "words": "",
            "status": None,
            "delivery": 1,
            "copy": 1,
            "attempt": 1,
            "expected": "nothing",
            "as_expected": True,
        } == {name: first[name] for name in first if name not in ("event_type", "payload", "seconds")}
        assert (2, "acknowledgement", 200, True) == (
            retry["attempt"],
            retry["expected"],
            retry["status"],
            retry["as_expected"],
        )
        assert first["payload"] == retry["payload"] == json.loads(body_of(there.order[0]))

    def test_people(self, run: Run, on_terminal: None) -> None:
        """On a terminal: what happened, and what was due where that is something else."""
        with recorder() as there:
            ran = run("send", "commsease.login", "--to", there.url, "--fault", "refuse", "--fault", "wrong-secret")
        first, second = ran.out.splitlines()
        assert first.startswith("delivery 1: unreachable in ")
        assert first.endswith(" ms: no connection: Connection refused, on purpose")
        assert second.startswith("delivery 1, attempt 2: acked in ")
        assert second.endswith(
            " ms: status 200; CommsEase takes 200 and 500 as received; "
            "due was a refusal, for the signature does not fit"
        )
        assert 1 == ran.status

    @pytest.mark.parametrize(
        ("expected", "typed"),
        [
            (0, ["lose-ack"]),
            (1, ["lose-ack:retry=false"]),
            (0, ["duplicate:times=3"]),
            (1, ["wrong-secret"]),
            (1, ["duplicate", "wrong-secret:on=repeats"]),
            (0, ["break-body"]),
            (0, ["stale"]),
        ],
    )
    def test_accepts_everything(self, run: Run, expected: int, typed: list[str]) -> None:
        """A receiver that acknowledges whatever comes is found out by forgeries alone."""
        assert expected == self.status(run, typed)

    @pytest.mark.parametrize(
        ("expected", "typed"),
        [
            (1, ["lose-ack"]),
            (1, ["duplicate"]),
            (0, ["wrong-secret"]),
            (1, ["duplicate", "wrong-secret:on=repeats"]),
            (0, ["break-body"]),
            (0, ["stale"]),
        ],
    )
    def test_refuses_everything(self, run: Run, expected: int, typed: list[str]) -> None:
        """One that refuses whatever comes gives only forgeries what it owes."""
        with recorder(REFUSING) as there:
            assert expected == self.status(run, typed, there)

    def test_nobody_there(self, run: Run) -> None:
        """Where nobody listens nothing is refused, not even a forgery."""
        ran = run("send", "commsease.login", "--to", f"http://127.0.0.1:{unused_port()}/", "--fault", "wrong-secret")
        assert (1, ["unreachable"]) == (ran.status, [one["outcome"] for one in ran.lines])

    def status(self, run: Run, typed: list[str], there: Recorder | None = None) -> int:
        """Return the exit status against a server, by default one that accepts everything."""
        if there is None:
            with recorder() as accepting:
                return self.status(run, typed, accepting)
        return run("send", "commsease.login", "--to", there.url, *[f"--fault={one}" for one in typed]).status

    def test_order_is_as_typed(self, run: Run) -> None:
        """Faults are applied from left to right."""
        with recorder() as there:
            ran = run("send", "commsease.login", "--to", there.url, "--fault=duplicate", "--fault=sign-afresh")
            again = run(
                "send", "commsease.login", "--to", there.url, "--fault=sign-afresh", "--fault=duplicate:times=2"
            )
        assert [2, 4] == [len(ran.lines), len(again.lines)]

    def test_seed(self, run: Run) -> None:
        """The same seed, the same order."""
        arrived = []
        for seed in ("1", "1", "2"):
            with recorder() as there:
                arguments = ["--count", "6", "--seed", seed, "--fault", "reorder"]
                ran = run("send", "commsease.login", "--to", there.url, *arguments)
            arrived.append([one["delivery"] for one in ran.lines])
        assert arrived[0] == arrived[1] != arrived[2]

    @pytest.mark.parametrize(
        ("error", "arguments"),
        [
            ("no fault is called 'los-ack'; did you mean 'lose-ack'? provider-mock faults lists them", ["los-ack"]),
            ("the fault reset has no attribute 'x'; choose one of: times, gap, retry, every, missing", ["reset:x=1"]),
            (
                "the fault burst cannot take size=many: give a whole number not less than 1, such as size=200",
                ["burst:size=many"],
            ),
            (
                (
                    "trickle:on=repeats finds nothing that is sent again; "
                    "put a fault before it that repeats, such as duplicate or lose-ack"
                ),
                ["trickle:on=repeats"],
            ),
            (
                (
                    "commsease.data-sync has no parameter 'nonce' that could be changed; it has "
                    "AppKey (key), CurTime (time), MD5 (digest), CheckSum (signature)"
                ),
                ["duplicate", "tamper-nonce"],
            ),
        ],
    )
    def test_mistakes(self, run: Run, error: str, arguments: list[str]) -> None:
        """One line that names the value and the fix, and nothing is sent."""
        with recorder() as there:
            ran = run("send", "commsease.login", "--to", there.url, *[f"--fault={one}" for one in arguments])
        assert Ran(2, "", f"error: {error}\n") == ran
        assert [] == there.connections
