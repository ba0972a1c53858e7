"""The command `provider-mock`: what it prints, what it exits with, and one line for every mistake."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from im_callback.provider_mock import cli, providers
from im_callback.provider_mock.commands.shared import printed

from tests.commands import Ran, Run
from tests.programs import pseudo_terminal
from tests.provider_mock import oracle
from tests.provider_mock.peers import OK, answers, peer, receiver, unused_port

PRINTED = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "schemas" / "printed_bodies.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
OURS = ["commsease", "rongcloud", "tencent"]
COMMANDS = cli.main.list_commands(click.Context(cli.main))
CHOICES = ", ".join(providers.names())
SAMPLES = {"commsease": "commsease.login", "rongcloud": "rongcloud.chatroom-kv", "tencent": "tencent.c2c-after-send"}
KEYS = {"commsease": "key-1", "rongcloud": "key-1", "tencent": "1400000007"}
SECRET = "hush-4711-秘密"
BODY = PRINTED[0]["body"].encode()
UNDESCRIBED = (
    "commsease.call-ended-2 is named but not described by the documents, so no payload is made up for it; "
    "the described ones are listed by: provider-mock events commsease"
)
REFUSING = answers(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
GIVE_A_FILE = "give a file with a request body, or pipe one in"
each_provider = pytest.mark.parametrize("provider", OURS)


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal."""
    monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)


def installed(*arguments: str, stdin: bytes = b"", **environment: str) -> Ran:
    """Run the installed script in a process of its own."""
    script = Path(sys.executable).with_name("provider-mock")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IM_")}
    done = subprocess.run(
        [script, *arguments], input=stdin, capture_output=True, env={**kept, **environment}, check=False
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def credentials(provider: str, secret: str = SECRET) -> list[str]:
    """Return options."""
    return ["--app-key", KEYS[provider], "--app-secret", secret]


class TestInstalled:
    """Every command once, in a process of its own."""

    def test_events(self) -> None:
        """`events` lists the event types of every provider."""
        ran = installed("events")
        assert (0, "") == (ran.status, ran.err)
        expected = [one.name for name in OURS for one in providers.load(name).catalogue]
        assert expected == [one["name"] for one in ran.lines][: len(expected)]

    def test_sample(self) -> None:
        """`sample` prints what the documents print."""
        ran = installed("sample", "rongcloud.chatroom-kv")
        assert (0, "") == (ran.status, ran.err)
        assert list(providers.load("rongcloud").catalogue["rongcloud.chatroom-kv"].examples) == ran.lines

    def test_validate(self) -> None:
        """`validate` reads standard input."""
        ran = installed("validate", "commsease", stdin=BODY)
        assert Ran(0, '{"event_type": "commsease.login", "valid": true, "problems": []}\n', "") == ran

    def test_sign_and_verify(self) -> None:
        """`sign` prints what `verify` accepts; the credentials come from the environment."""
        environment = {"IM_APP_KEY": "key-1", "IM_APP_SECRET": SECRET}
        signed = installed("sign", "commsease", stdin=BODY, **environment)
        assert 0 == signed.status
        headers = [f"--header={name}:{value}" for name, value in signed.lines[0]["headers"].items()]
        ran = installed("verify", "commsease", *headers, stdin=BODY, **environment)
        assert Ran(0, '{"feed": "commsease.data-sync", "valid": true, "problem": null}\n', "") == ran
        ran = installed("verify", "commsease", *headers, stdin=BODY)
        assert (1, "", ["the CheckSum is not sha1(AppSecret + MD5 + CurTime)"]) == (
            ran.status,
            ran.err,
            [one["problem"] for one in ran.lines],
        )

    def test_send(self) -> None:
        """`send` exits 0 if the event was taken, 1 if not."""
        with receiver("commsease", "test-key", "test-secret") as there:
            assert 0 == installed("send", "commsease.login", "--to", there.url).status
            assert 1 == installed("send", "commsease.login", "--to", there.url, "--app-secret", "other").status
        assert (1, 1) == (len(there.accepted), there.refused)

    def test_mistake(self) -> None:
        """A mistake is one line on standard error."""
        assert Ran(2, "", f"error: no provider is called 'nope'; choose one of: {CHOICES}\n") == installed(
            "events", "nope"
        )

    def test_version(self) -> None:
        """`--version` names the distribution's version."""
        ran = installed("--version")
        assert 0 == ran.status
        assert ran.out.startswith("provider-mock, version ")

    def test_terminal(self) -> None:
        """On a terminal the output is for people; `--json` says otherwise."""
        for options, expected in (((), b"commsease.login: valid"), (("--json",), b'{"event_type": "commsease.login"')):
            reader, writer = pseudo_terminal()
            script = Path(sys.executable).with_name("provider-mock")
            subprocess.run([script, "validate", "commsease", *options], input=BODY, stdout=writer, check=True)
            os.close(writer)
            printed = os.read(reader, 1000)
            os.close(reader)
            assert printed.startswith(expected)


class TestEvents:
    """Tests for `provider-mock events`."""

    def test_json(self, run: Run) -> None:
        """Name, code, status, identity, order and source of each."""
        (login,) = [one for one in run("events", "commsease").lines if one["name"] == "commsease.login"]
        assert {"name", "feed", "code", "status", "identity", "variants", "order", "source"} == set(login)
        assert ("2", "documented") == (login["code"], login["status"])
        assert "/accid" in login["identity"]
        assert "latest" == login["order"]["rule"]

    def test_people(self, run: Run, on_terminal: None) -> None:
        """The same, to be read."""
        ran = run("events", "tencent")
        assert "tencent.c2c-after-send  (after, code C2C.CallbackAfterSendMsg)\n    identity: /From_Account " in ran.out
        assert "    order:    sequence by /MsgTime /MsgSeq\n" in ran.out
        assert "    source:   Tencent Cloud, " in ran.out

    def test_undocumented(self, run: Run, on_terminal: None) -> None:
        """What is only named says so."""
        assert ", undocumented)\n" in run("events", "commsease").out


class TestWires:
    """Tests for `provider-mock events --wires`."""

    def test_lines(self, run: Run) -> None:
        """Each name with its provider, in one line."""
        ran = run("events", "--wires")
        assert (0, "") == (ran.status, ran.err)
        known = [(one, name) for one in OURS for name in providers.load(one).wires]
        assert known == [(one["provider"], one["name"]) for one in ran.lines][: len(known)]
        assert all(one["description"] for one in ran.lines)

    def test_people(self, run: Run, on_terminal: None) -> None:
        """On a terminal it is a list, also of one provider alone."""
        ran = run("events", "rongcloud", "--wires")
        assert "rongcloud  legacy-names: parameters under the names of earlier years\n" in ran.out
        assert "commsease" not in ran.out


class TestSample:
    """Tests for `provider-mock sample`."""

    def test_count(self, run: Run) -> None:
        """At most that many samples."""
        assert 2 == len(run("sample", "commsease.chatroom-queue", "--count", "2").lines)

    def test_generated(self, run: Run) -> None:
        """Made-up payloads are valid, and the same for the same seed."""
        first, second, other = (
            run("sample", "commsease.login", "--generate", "--count", "3", "--seed", seed) for seed in ("7", "7", "8")
        )
        assert first == second
        assert first.out != other.out
        login = providers.load("commsease").catalogue["commsease.login"]
        assert [[], [], []] == [login.problems(payload) for payload in first.lines]

    def test_without_a_seed(self, run: Run) -> None:
        """Without a seed each run makes up something else."""
        arguments = ("sample", "commsease.login", "--generate")
        assert run(*arguments).out != run(*arguments).out

    def test_raw_text(self, run: Run) -> None:
        """Text is printed as it is, not as escapes."""
        assert "\\u" not in run("sample", "commsease.conversation").out


class TestValidate:
    """Tests for `provider-mock validate`."""

    @pytest.mark.parametrize("printed", PRINTED, ids=lambda one: one["source"][-50:])
    def test_printed_bodies(self, run: Run, tmp_path: Path, printed: dict[str, str]) -> None:
        """Every body that the documents print is recognised and valid."""
        file = tmp_path / "body.json"
        file.write_text(printed["body"], encoding="utf-8")
        ran = run("validate", printed["expect"].partition(".")[0], str(file))
        assert (0, "") == (ran.status, ran.err)
        assert {(printed["expect"], True)} == {(one["event_type"], one["valid"]) for one in ran.lines}

    @pytest.mark.parametrize(
        ("status", "out", "err", "provider", "body"),
        [
            (0, ["commsease.login"], "", "commsease", BODY),
            (0, ["commsease.login"] * 2, "", "commsease", BODY + b"\n" + BODY),
            (0, ["commsease.login"], "note: // comments are not JSON; they were left out\n", "commsease", BODY + b"// so"),
            (0, ["the console's address probe"], "", "commsease", b"{}"),
            (2, [None], "unknown event type: {}; provider-mock events tencent lists the known ones\n", "tencent", b"{}"),
            (
                2,
                [None],
                'unknown event type: {"eventType": "9999"}; provider-mock events commsease lists the known ones\n',
                "commsease",
                b'{"eventType":"9999"}',
            ),
            (2, [None], "unknown event type: [1]; provider-mock events commsease lists the known ones\n", "commsease", b"[1]"),
            (1, ["commsease.login"], "", "commsease", b'{"eventType":"2"}'),
            (
                2,
                [None, "commsease.login"],
                "unknown event type: 7; provider-mock events commsease lists the known ones\n",
                "commsease",
                b'7\n{"eventType":"2"}',
            ),
            (
                1,
                [],
                "error: this is no JSON: Expecting value: line 1 column 1 (char 0); give a request body as it was received\n",
                "commsease",
                b"eventType=2",
            ),
            (1, [None], "an empty array: it carries no event\n", "rongcloud", b"[]"),
        ],
    )  # fmt: skip
    def test_status(self, run: Run, status: int, out: list[str], err: str, provider: str, body: bytes) -> None:
        """0: all valid; 1: something is not; 2: something is unknown. The worst one counts."""
        ran = run("validate", provider, stdin=body)
        assert (status, out, err) == (ran.status, [one["event_type"] for one in ran.lines], ran.err)

    def test_problems(self, run: Run) -> None:
        """Every problem with its place."""
        (found,) = run("validate", "commsease", stdin=b'{"eventType":"2","accid":7}').lines
        assert not found["valid"]
        assert any(problem.startswith("/accid: is 7; ") for problem in found["problems"])

    def test_people(self, run: Run, on_terminal: None) -> None:
        """The same, to be read."""
        assert "commsease.login: valid\n" == run("validate", "commsease", stdin=BODY).out
        ran = run("validate", "commsease", stdin=b'{"eventType":"2"}')
        assert ran.out.startswith("commsease.login: not valid\n  /")


class TestValidateTypedWrongly:
    """`validate` says 1 and 2 of bodies, so what was typed wrongly exits with 4."""

    @pytest.mark.parametrize(
        ("error", "arguments"),
        [
            (f"no provider is called 'nope'; choose one of: {CHOICES}", ["nope"]),
            ("PROVIDER is missing; give it (see provider-mock validate --help)", []),
            ("there is no option --zzzz; leave it out (see provider-mock validate --help)", ["commsease", "--zzzz"]),
            (
                "c: provider-mock validate takes no more arguments; leave it out (see provider-mock validate --help)",
                ["commsease", "-", "c"],
            ),
            (f"no-such cannot be read (No such file or directory); {GIVE_A_FILE}", ["commsease", "no-such"]),
            (f"/ cannot be read (Is a directory); {GIVE_A_FILE}", ["commsease", "/"]),
        ],
    )
    def test_status(self, run: Run, error: str, arguments: list[str]) -> None:
        """One line, and a status of its own."""
        ran = run("validate", *arguments)
        assert Ran(4, "", f"error: {error}\n") == ran

    @pytest.mark.parametrize(("status", "command"), [(4, "validate"), (2, "sign"), (2, "verify")])
    @pytest.mark.parametrize("redirection", ["<&-", "0>/dev/null", "<&- >&-"])
    def test_no_input(self, status: int, command: str, redirection: str) -> None:
        """Closed or unreadable standard input is no body."""
        script = Path(sys.executable).with_name("provider-mock")
        done = subprocess.run(
            ["sh", "-c", f'"{script}" {command} commsease {redirection}'], capture_output=True, text=True, check=False
        )
        assert (status, "") == (done.returncode, done.stdout)
        assert 1 == done.stderr.count("\n"), done.stderr
        said = "standard input is closed; name a file" if "-" in redirection else "cannot be read (Bad file descriptor)"
        assert said in done.stderr

    @pytest.mark.parametrize(
        ("error", "body"),
        [
            ("it is empty", b""),
            ("it is empty", b"\xef\xbb\xbf \n"),
            ("'utf-8' codec can't decode byte", bytes(range(128, 256))),
            ("'utf-8' codec can't decode byte", "{}".encode("utf-16")),
            ("Expecting value", b"\x00\x01\x02"),
        ],
    )
    def test_no_json(self, run: Run, error: str, body: bytes) -> None:
        """What is no JSON is not valid, on one line."""
        ran = run("validate", "commsease", stdin=body)
        assert (1, "", 1) == (ran.status, ran.out, ran.err.count("\n"))
        assert ran.err.startswith("error: this is no JSON: ")
        assert error in ran.err

    @pytest.mark.parametrize("command", ["validate", "sign"])
    def test_bom(self, run: Run, command: str) -> None:
        """A byte order mark is no part of the JSON; for a signature it is part of the body."""
        ran = run(command, "commsease", stdin=b"\xef\xbb\xbf" + BODY)
        assert (0, "") == (ran.status, ran.err)
        if command == "sign":
            digest = hashlib.md5(b"\xef\xbb\xbf" + BODY).hexdigest()
            assert digest == ran.lines[0]["headers"]["MD5"]

    def test_lone_surrogate(self) -> None:
        """A lone surrogate is JSON, and the answer about it is UTF-8."""
        body = BODY.replace(b'"eventType"', b'"\\ud800":1,"clientType":"\\ud800","eventType"', 1)
        ran = installed("validate", "commsease", stdin=body)
        assert "Traceback" not in ran.err
        assert "commsease.login" == ran.lines[0]["event_type"]


class TestSignAndVerify:
    """Tests for `provider-mock sign` and `verify`."""

    @staticmethod
    def sample(provider: str) -> bytes:
        """Return a body of the provider, spelled in a way of its own."""
        payload = providers.load(provider).catalogue[SAMPLES[provider]].examples[0]
        return json.dumps([payload] if provider == "rongcloud" else payload, indent=1).encode() + b"\n"

    @staticmethod
    def received(provider: str, signed: Ran) -> list[str]:
        """Return the options that give `verify` what `sign` printed."""
        (request,) = signed.lines
        return ["--url", request["url"], *(f"--header={name}: {value}" for name, value in request["headers"].items())]

    @each_provider
    def test_round_trip(self, run: Run, tmp_path: Path, provider: str) -> None:
        """What is signed verifies with the same secret, from a file as from standard input."""
        body = self.sample(provider)
        (tmp_path / "body").write_bytes(body)
        signed = run("sign", provider, str(tmp_path / "body"), "--to", "http://h/cb?x=1", *credentials(provider))
        options = self.received(provider, signed)
        ran = run("verify", provider, *options, *credentials(provider), stdin=body)
        assert (0, "", [(True, None)]) == (ran.status, ran.err, [(one["valid"], one["problem"]) for one in ran.lines])

    @each_provider
    def test_oracle(self, run: Run, provider: str) -> None:
        """An independent verifier accepts it as well."""
        body = self.sample(provider)
        (request,) = run("sign", provider, *credentials(provider), stdin=body).lines
        headers = request["headers"].items()
        assert oracle.accepts(provider, request["url"], headers, body, KEYS[provider], SECRET, time.time())
        assert "POST" == request["method"]

    @pytest.mark.parametrize(
        ("provider", "problem"),
        [
            ("commsease", "the CheckSum is not sha1(AppSecret + MD5 + CurTime)"),
            ("rongcloud", "the signature is not sha1(AppSecret + nonce + timestamp)"),
            ("tencent", "the Sign is not sha256(token + RequestTime)"),
        ],
    )
    def test_wrong_secret(self, run: Run, provider: str, problem: str) -> None:
        """With another secret `verify` exits 1 and says which formula does not hold."""
        body = self.sample(provider)
        options = self.received(provider, run("sign", provider, *credentials(provider), stdin=body))
        ran = run("verify", provider, *options, *credentials(provider, "other"), stdin=body)
        assert (1, "", [(False, problem)]) == (
            ran.status,
            ran.err,
            [(one["valid"], one["problem"]) for one in ran.lines],
        )

    def test_verified_for_people(self, run: Run, on_terminal: None) -> None:
        """On a terminal it is said in words."""
        options = self.received("commsease", run("sign", "commsease", "--json", stdin=BODY))
        assert Ran(0, "the signature fits\n", "") == run("verify", "commsease", *options, stdin=BODY)
        ran = run("verify", "commsease", *options, "--app-secret", "other", stdin=BODY)
        assert Ran(1, "the CheckSum is not sha1(AppSecret + MD5 + CurTime)\n", "") == ran

    def test_changed_body(self, run: Run) -> None:
        """One more line break at the end of a CommsEase body is a changed body."""
        options = self.received("commsease", run("sign", "commsease", stdin=BODY))
        ran = run("verify", "commsease", *options, stdin=BODY + b"\n")
        assert 1 == ran.status
        assert ran.lines[0]["problem"].startswith("the header MD5 is ")

    def test_at(self, run: Run) -> None:
        """`--at` signs for another time, which is too old for Tencent."""
        signed = run("sign", "tencent", "--at", "1700000000999", stdin=b"{}")
        assert "RequestTime=1700000000" in signed.lines[0]["url"]
        ran = run("verify", "tencent", *self.received("tencent", signed), stdin=b"{}")
        assert (1, "RequestTime '1700000000' is more than 60 s from now") == (ran.status, ran.lines[0]["problem"])

    @pytest.mark.parametrize(
        ("command", "body"),
        [
            ("C2C.CallbackAfterSendMsg", b'{"CallbackCommand":"C2C.CallbackAfterSendMsg"}'),
            ("C2C.CallbackAfterSendMsg", b'\xef\xbb\xbf{"CallbackCommand":"C2C.CallbackAfterSendMsg"}'),
            ("", b"no JSON"),
            ("", b"\xff"),
            ("", b"[" * 200_000),
        ],
        ids=["known", "bom", "text", "bytes", "deep"],
    )
    def test_any_body(self, run: Run, command: str, body: bytes) -> None:
        """Any bytes can be signed; the command is taken from them where they have one."""
        assert f"CallbackCommand={command}&" in run("sign", "tencent", stdin=body).lines[0]["url"]

    def test_no_token(self, run: Run) -> None:
        """`--app-secret none` is Tencent without a token."""
        (request,) = run("sign", "tencent", "--app-secret", "none", stdin=b"{}").lines
        assert "Sign=" not in request["url"]

    def test_people(self, run: Run, on_terminal: None) -> None:
        """To be read: the request line, then the headers."""
        lines = run("sign", "commsease", "--to", "http://h/cb", stdin=BODY).out.splitlines()
        assert ["POST http://h/cb", "Content-Type: application/json", "AppKey: test-key"] == lines[:3]

    def test_bytes_that_are_no_text(self, run: Run) -> None:
        """A header that is no UTF-8 does not fit, and is no crash."""
        signed = run("sign", "commsease", stdin=BODY).lines[0]["headers"]
        headers = [f"--header={name}:{value}" for name, value in {**signed, "CurTime": "\udcff"}.items()]
        assert 1 == run("verify", "commsease", *headers, stdin=BODY).status


class TestSend:
    """Tests for `provider-mock send`."""

    @each_provider
    def test_accepted(self, run: Run, provider: str) -> None:
        """A receiver that verifies by the documents' formulas accepts every event."""
        with receiver(provider, KEYS[provider], SECRET) as there:
            ran = run("send", SAMPLES[provider], "--to", there.url, "--count", "3", *credentials(provider))
        assert (0, "", 0) == (ran.status, ran.err, there.refused)
        assert ["acked"] * 3 == [one["outcome"] for one in ran.lines]
        assert [200] * 3 == [one["status"] for one in ran.lines]
        bodies = [json.loads(body) for body in there.accepted]
        assert [one["payload"] for one in ran.lines] == [
            body[0] if provider == "rongcloud" else body for body in bodies
        ]
        assert 3 == len({json.dumps(body) for body in bodies})

    @each_provider
    def test_wrong_secret(self, run: Run, provider: str) -> None:
        """With another secret it refuses, and the exit status is 1."""
        with receiver(provider, KEYS[provider], SECRET) as there:
            ran = run("send", SAMPLES[provider], "--to", there.url, *credentials(provider, "other"))
        assert (1, "") == (ran.status, ran.err)
        assert [("refused", 401)] == [(one["outcome"], one["status"]) for one in ran.lines]
        assert [] == there.accepted

    def test_unreachable(self, run: Run) -> None:
        """Where nobody listens the exit status is 1."""
        ran = run("send", "commsease.login", "--to", f"http://127.0.0.1:{unused_port()}/")
        assert (1, "unreachable", None) == (ran.status, ran.lines[0]["outcome"], ran.lines[0]["status"])

    def test_one_of_several(self, run: Run) -> None:
        """One that was refused is enough for exit status 1; the others are still sent."""
        replies = [b"HTTP/1.1 200 X", b"HTTP/1.1 404 X", b"HTTP/1.1 500 X"]
        with peer(
            lambda connection, _: connection.sendall(replies.pop(0) + b"\r\nContent-Length: 0\r\n\r\n")
        ) as server:
            ran = run("send", "commsease.login", "--to", server.url, "--count", "3")
        assert (1, ["acked", "refused", "acked"]) == (ran.status, [one["outcome"] for one in ran.lines])

    def test_generated(self, run: Run) -> None:
        """Made-up events are delivered like samples."""
        with receiver("commsease", "test-key", "test-secret") as there:
            ran = run(
                "send", "commsease.chatroom-message", "--to", there.url, "--generate", "--seed", "1", "--count", "2"
            )
        assert (0, 2) == (ran.status, len(there.accepted))

    @pytest.mark.parametrize(
        "arguments", [("login", "--provider", "commsease"), ("commsease.login", "--provider", "commsease")]
    )
    def test_provider(self, run: Run, arguments: Sequence[str]) -> None:
        """The provider may be given apart."""
        with peer(OK) as server:
            assert "commsease.login" == run("send", *arguments, "--to", server.url).lines[0]["event_type"]

    @pytest.mark.parametrize(
        ("expected", "name", "assignment"),
        [
            ({"accid": "zhang"}, "commsease.login", "/accid=zhang"),
            ({"accid": "7"}, "commsease.login", "/accid=7"),
            ({"accid": "a=b"}, "commsease.login", "/accid=a=b"),
            ({"customTag": "中文"}, "commsease.login", "/customTag=中文"),
            ({"customTag": ""}, "commsease.login", "/customTag="),
            ({"MsgTime": 1700000000}, "tencent.c2c-after-send", "/MsgTime=1700000000"),
            ({"From_Account": "7"}, "tencent.c2c-after-send", "/From_Account=7"),
            ({"UnreadMsgNum": -1}, "tencent.c2c-after-send", "/UnreadMsgNum=-1"),
            (
                {"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "7"}}]},
                "tencent.c2c-after-send",
                '/MsgBody=[{"MsgType":"TIMTextElem","MsgContent":{"Text":"7"}}]',
            ),
            (
                {"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}]},
                "tencent.c2c-after-send",
                "/MsgBody/0/MsgContent/Text=hi",
            ),
        ],
    )
    def test_set(self, run: Run, expected: dict[str, Any], name: str, assignment: str) -> None:
        """A field that holds text gets text, any other one JSON."""
        with peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as server:
            ran = run("send", name, "--to", server.url, "--set", assignment)
            body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
        assert 0 == ran.status
        assert expected == {field: body[field] for field in expected}

    def test_people(self, run: Run, on_terminal: None) -> None:
        """To be read: the outcome, the time and the rule."""
        with peer(REFUSING) as server:
            ran = run("send", "commsease.login", "--to", server.url)
        outcome, _, rule = ran.out.partition(" ms: ")
        assert outcome.startswith("refused in ")
        assert "status 401; CommsEase takes 200 and 500 as received\n" == rule


class TestMistakes:
    """A mistake is one line on standard error, with the way out; nothing is sent, and the exit status is 2."""

    @pytest.mark.parametrize(
        ("error", "arguments"),
        [
            (f"there is no command 'nope'; there are {', '.join(COMMANDS)} (see provider-mock --help)", ["nope"]),
            (f"no provider is called 'nope'; choose one of: {CHOICES}", ["sign", "nope"]),
            (f"no provider is called 'nope'; choose one of: {CHOICES}", ["sample", "nope.login"]),
            ("there is no option --zzzz; leave it out (see provider-mock sign --help)", ["sign", "commsease", "--zzzz"]),
            ("--to is missing; give --to URL (see provider-mock send --help)", ["send", "commsease.login"]),
            (
                "--count 0: give a whole number from 1",
                ["sample", "commsease.login", "--count", "0"],
            ),
            (
                f"no-such-file cannot be read (No such file or directory); {GIVE_A_FILE}",
                ["sign", "commsease", "no-such-file"],
            ),
            ("--header AppKey: give it as NAME:VALUE", ["verify", "commsease", "--header", "AppKey"]),
            (
                "--app-secret: commsease always signs; give it, or leave it out for the test secret",
                ["sign", "commsease", "--app-secret", "none"],
            ),
            (
                "--app-secret: rongcloud always signs; give it, or leave it out for the test secret",
                ["verify", "rongcloud", "--app-secret", "none"],
            ),
            (
                "--app-key: it holds a line break or another control character; give it without",
                ["sign", "commsease", "--app-key", "a\r\nX: b"],
            ),
            ("--app-key: it is not UTF-8; give it in UTF-8", ["sign", "tencent", "--app-key", "\udcff"]),
            ("--app-secret: it is not UTF-8; give it in UTF-8", ["sign", "tencent", "--app-secret", "\udcff"]),
            (UNDESCRIBED, ["sample", "commsease.call-ended-2"]),
            (UNDESCRIBED, ["sample", "commsease.call-ended-2", "--generate"]),
        ],
    )  # fmt: skip
    def test_mistakes(self, run: Run, error: str, arguments: list[str]) -> None:
        """Word for word."""
        ran = run(*arguments)
        assert Ran(2, "", f"error: {error}\n") == ran

    @pytest.mark.parametrize(
        ("error", "name", "arguments"),
        [
            ("--set accid: give it as /pointer=value", "commsease.login", ["--set", "accid"]),
            ("--set a b: give it as /pointer=value", "commsease.login", ["--set", "a\nb"]),
            ("pointer 'accid': it does not begin with '/'; write '/accid'", "commsease.login", ["--set", "accid=7"]),
            ("pointer '/x/y': there is no /x; set the parent first", "commsease.login", ["--set", "/x/y=1"]),
            (
                "--set /MsgTime=soon: /MsgTime holds no text; give the value as JSON",
                "tencent.c2c-after-send",
                ["--set", "/MsgTime=soon"],
            ),
            (
                "--set /MsgTime=NaN: /MsgTime holds no text; give the value as JSON",
                "tencent.c2c-after-send",
                ["--set", "/MsgTime=NaN"],
            ),
            (
                "--set makes this no valid tencent.c2c-after-send: /MsgTime is 1.5; due is integer",
                "tencent.c2c-after-send",
                ["--set", "/MsgTime=1.5"],
            ),
            ("--set '/accid=\\udcff' is not UTF-8; give it in UTF-8", "commsease.login", ["--set", "/accid=\udcff"]),
            (
                "login is not an event type of tencent; leave --provider out",
                "commsease.login",
                ["--provider", "tencent"],
            ),
            (
                UNDESCRIBED,
                "commsease.call-ended-2",
                [],
            ),
            (
                UNDESCRIBED,
                "commsease.call-ended-2",
                ["--generate"],
            ),
        ],
    )  # fmt: skip
    def test_send(self, run: Run, error: str, name: str, arguments: list[str]) -> None:
        """Nothing leaves before everything is right."""
        with peer(OK) as server:
            ran = run("send", name, "--to", server.url, *arguments)
            assert [] == server.requests
        assert (2, "") == (ran.status, ran.out)
        assert 1 == ran.err.count("\n")
        assert error in ran.err
        assert ran.err.startswith("error: ")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "nonsense",
            "127.0.0.1:80",
            "ftp://h/",
            "http://",
            "http:///x",
            "http://h/a b",
            "http://h/\n",
            "http://[::1",
        ],
    )
    @pytest.mark.parametrize("command", [["send", "commsease.login"], ["sign", "commsease"]], ids=["send", "sign"])
    def test_address(self, run: Run, command: list[str], url: str) -> None:
        """An address that nothing can be posted to is a mistake, not a receiver that is down."""
        ran = run(*command, "--to", url)
        assert Ran(2, "", f"error: {url!r} is no address to post to; give it as http://host:port/path\n") == ran

    @pytest.mark.parametrize("url", ["me:hush@h:80/x", "ftp://me:hush@h/", "http://me:hu@sh@h:port/"])
    def test_address_with_password(self, run: Run, url: str) -> None:
        """A password in it is not printed."""
        ran = run("sign", "commsease", "--to", url)
        assert (2, "") == (ran.status, ran.out)
        assert "***@h" in ran.err
        assert "hu" not in ran.err

    def test_unknown_event_type(self, run: Run) -> None:
        """It is said who lists them."""
        ran = run("sample", "tencent.nope")
        assert Ran(2, "", "error: no event type is called 'tencent.nope'; provider-mock events lists them\n") == ran

    def test_nothing(self, run: Run) -> None:
        """Without a command there is help."""
        ran = run()
        assert "Usage: provider-mock [OPTIONS] COMMAND [ARGS]..." in ran.out + ran.err
        assert "error:" not in ran.err

    @pytest.mark.parametrize("command", cli.main.list_commands(click.Context(cli.main)))
    def test_help(self, run: Run, command: str) -> None:
        """Every command explains itself."""
        ran = run(command, "--help")
        assert (0, "") == (ran.status, ran.err)
        assert ran.out.startswith(f"Usage: provider-mock {command} ")


class TestSecrets:
    """The secret is never printed, by any command, whatever comes of it."""

    @each_provider
    def test_never_printed(self, run: Run, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """From an option or from the environment."""
        with receiver(provider, KEYS[provider], SECRET) as good, receiver(provider, KEYS[provider], "other") as bad:
            for options in (credentials(provider), []):
                if not options:
                    monkeypatch.setenv("IM_APP_SECRET", SECRET)
                    monkeypatch.setenv("IM_APP_KEY", KEYS[provider])
                ran = [
                    run("send", SAMPLES[provider], "--to", good.url, *options),
                    run("send", SAMPLES[provider], "--to", bad.url, *options),
                    run("send", SAMPLES[provider], "--to", f"http://127.0.0.1:{unused_port()}/", *options),
                    run("send", SAMPLES[provider], "--to", good.url, "--set", "x", *options),
                    run("sign", provider, *options, stdin=BODY),
                    run("verify", provider, *options, stdin=BODY),
                    run("verify", provider, "--header", "x", *options, stdin=BODY),
                ]
                assert [0, 1, 1, 2, 0, 1, 2] == [one.status for one in ran]
                assert not any(SECRET in one.out + one.err for one in ran)
        assert (2, 2) == (len(good.accepted), bad.refused)


class TestDemo:
    """Tests for `provider-mock demo`, which `make demo` runs in full."""

    def test_missing_packages(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without Flask and waitress it says what to install."""
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert Ran(
            2, "", "error: the demo's receivers need flask and waitress; pip install 'im-callback-conformance[demo]'\n"
        ) == run("demo")

    def test_receivers(self) -> None:
        """Its receivers are where it looks for them."""
        from im_callback.provider_mock.commands.demo import receivers

        assert {"receiver.py", "naive.py"} <= {file.name for file in receivers().iterdir()}
