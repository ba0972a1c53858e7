"""What is printed and written: the block of a failure, the JSON result, and curl lines that really work."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from im_callback.conformance.around.moments import Moment
from im_callback.conformance.disturbed import performed
from im_callback.conformance.report.curl import curl
from im_callback.conformance.report.result_json import _buckets, document
from im_callback.conformance.report.screen import screen
from im_callback.conformance.report.text import block
from im_callback.conformance.run import Run
from im_callback.conformance.runner import Conclusion, ExitStatus, conclude
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Level, Record, Result, Verdict
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
    DOCUMENTED,
    MASK,
    Credentials,
    Event,
    Judgement,
    NoReply,
    Outcome,
    Parameter,
    Provider,
    Request,
    Stamp,
    query_pairs,
)
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.delivery.plan import Step, Transport
from im_callback.provider_mock.history import Attempt, Shot
from im_callback.provider_mock.wire import Wire

from tests.conformance.little_server import LittleServer, serving, unused_url
from tests.programs import needed

NAMES = ("commsease", "rongcloud", "tencent")
SECRET = "s3cret-with-hyphens-and 'quotes'"
GATEWAY = "Bearer gate-way-t0ken"
OK = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
SCHEMA = json.loads(files("im_callback.conformance.report").joinpath("result.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def settings_for(provider: Provider, url: str, **more: Any) -> Settings:
    """Return the settings of a run with a secret of its own."""
    credentials = Credentials(provider.defaults.app_key, SECRET)
    return Settings(url, provider, credentials, **{"seed": 7, "settle": 0, **more})


def result_of(verdict: Verdict, **more: Any) -> Result:
    """Return a result."""
    given: dict[str, Any] = {
        "id": "commsease.family.name",
        "title": "The title",
        "level": Level.MUST,
        "source": "Document: section",
        "verdict": verdict,
        "why": "The reason why",
        "usual_fix": "The usual way out",
    }
    return Result(**{**given, **more})


def failure(*attempts: Attempt, expected: str = "this", actual: str = "that", **more: Any) -> Result:
    """Return a failed result."""
    return result_of(Verdict.FAIL, expected=expected, actual=actual, attempts=attempts, **more)


@pytest.fixture
def echoing() -> Iterator[LittleServer]:
    """Return a receiver that answers with what it should keep to itself."""
    content = json.dumps({"secret": SECRET, "token": GATEWAY, "list": [SECRET] * 60}).encode()
    with serving(lambda request: (403, f"text/plain; x={SECRET}", content)) as little:
        yield little


class TestBlock:
    """Tests for `block`."""

    def test_order(self, echoing: LittleServer) -> None:
        """The parts of a failure stand in the documented order."""
        run = Run(settings_for(providers.load("commsease"), echoing.url))
        attempt = run.deliver(run.event(), note="what is special")
        shown = block(failure(attempt), run.settings)
        parts = [
            r"commsease\.family\.name: The title$",
            r"requirement: The title \(must\)$",
            r"source: Document: section$",
            r"expected: this$",
            r"actual: that$",
            r"request \(what is special\):$",
            r"    POST http://127\.0\.0\.1:\d+$",
            r"    CheckSum: [0-9a-f]{40}$",
            r"reply:$",
            r"    403 \(after \d+ ms\)$",
            r"why it matters: The reason why$",
            r"usual fix: The usual way out$",
            r"send it again:$",
            r"    curl -sS -i http://",
        ]
        places = [match.start() if (match := re.search(f"(?m)^{part}", shown)) else part for part in parts]
        assert sorted(place for place in places if isinstance(place, int)) == places

    def test_no_reply(self) -> None:
        """Where no reply came, that is said."""
        run = Run(settings_for(providers.load("tencent"), unused_url()))
        attempt = run.deliver(run.event())
        assert isinstance(attempt.reply, NoReply)
        shown = block(failure(attempt), run.settings)
        assert "request (as the provider sends it):" in shown
        assert "    no reply: no connection: " in shown

    def test_no_exchange(self) -> None:
        """A failure without exchanges has none of their headings."""
        shown = block(failure(), settings_for(providers.load("tencent"), "http://x/"))
        assert "request" not in shown.replace("requirement", "")
        assert "send it again" not in shown

    def test_many_exchanges(self, echoing: LittleServer) -> None:
        """Four exchanges are printed whole; how all were delivered is told before, those that are alike in one line."""
        run = Run(settings_for(providers.load("commsease"), echoing.url))
        attempts = [run.deliver(run.event(), note=f"note {n}") for n in range(6)]
        attempts += run.send(*[run.shot(run.event(), note="alike") for _ in range(3)])
        shown = block(failure(*attempts), run.settings)
        assert 4 == shown.count("\nrequest (note ")
        assert re.search(r"\nhow it was delivered:\n  1\.    0\.000 s  note 0 -> 403, refused\n  2\. ", shown)
        assert re.search(r"\n  7\.  *\d+\.\d{3} s  alike \(3 times\) -> 403, refused\n", shown)
        assert "\n… 5 exchanges more\n" in shown

    def test_hundreds(self, echoing: LittleServer) -> None:
        """Of hundreds of deliveries the beginning and the end are told."""
        run = Run(settings_for(providers.load("commsease"), echoing.url))
        attempt = run.deliver(run.event())
        those = [dataclasses.replace(attempt, shot=dataclasses.replace(attempt.shot, note=f"n{n}")) for n in range(300)]
        shown = block(failure(*those), run.settings)
        assert (
            "  16.   0.000 s  n15 -> 403, refused\n  … 277 steps more\n  294.   0.000 s  n293 -> 403, refused" in shown
        )

    def test_moments(self, echoing: LittleServer) -> None:
        """What happened around the receiver stands among the deliveries, in a block and in the result."""
        run = Run(settings_for(providers.load("commsease"), echoing.url))
        attempt = run.deliver(run.event(), note="the delivery")
        result = failure(attempt, moments=(Moment(attempt.sent_at + 1500, "the receiver gets SIGKILL"),))
        due = ["  1.    0.000 s  the delivery -> 403, refused", "  2.    1.500 s  the receiver gets SIGKILL"]
        assert "\n".join(["how it was delivered:", *due]) in block(result, run.settings)
        written = checked(document(run, [result], conclude([result], Level.SHOULD, {}, [])))
        assert due == written["checks"][0]["timeline"]

    def test_records(self) -> None:
        """Records stand side by side, without secrets and control characters, in a block and in the result."""
        run = Run(settings_for(providers.load("tencent"), "http://127.0.0.1/"))
        one = {"id": 7, "said": f"hello {SECRET}", "more": {"deep": "\x1b[2J"}, "nan": float("nan")}
        result = failure(records=[Record("first", one), Record("second", {**one, "id": 8, SECRET: "x" * 1000})])
        shown = block(result, run.settings)
        assert "\nrecords side by side (what differs has a star):\n" in shown
        assert re.search(r"(?m)^ +first +second$", shown)
        assert re.search(r"(?m)^    \* id +7 +8$", shown)
        assert re.search(r"(?m)^      said +hello \*\*\* +hello \*\*\*$", shown)
        assert r"\x1b[2J" in shown
        written = checked(document(run, [result], conclude([result], Level.SHOULD, {}, [])))
        first, second = written["checks"][0]["records"]
        assert {
            "what": "first",
            "record": {**one, "said": "hello ***", "more": {"deep": r"\x1b[2J"}, "nan": "nan"},
        } == first
        assert f"{'x' * 400}… (1000 characters)" == second["record"]["***"]
        assert SECRET not in shown + json.dumps(written)

    def test_hostile_words(self) -> None:
        """What the receiver says cannot command the terminal, wherever it is quoted."""
        words = "\x1b[2J\x07\u202eevil\ud800\x00 你好 👨‍👩‍👧"
        settings = settings_for(providers.load("tencent"), "http://x/")
        those = [
            block(failure(actual=words, expected=words, known=words, fix=words), settings),
            block(result_of(Verdict.COULD_NOT_RUN, reason=words, fix=words), settings),
            block(result_of(Verdict.HARNESS_ERROR, reason=words), settings),
        ]
        for shown in those:
            assert not {"\x1b", "\x07", "\u202e", "\ud800", "\x00"} & set(shown)
        assert "\\x1b[2J\\x07\\u202eevil\\ud800\\x00 你好 👨‍👩‍👧" in those[0]

    def test_known(self) -> None:
        """A known failure says why it is known."""
        shown = block(failure(known="ticket 7"), settings_for(providers.load("tencent"), "http://x/"))
        assert shown.endswith("known failure: ticket 7")

    def test_our_error(self) -> None:
        """Our own error is called that, with its trace, and without advice to the receiver."""
        result = result_of(Verdict.HARNESS_ERROR, reason="Traceback\n  line 1\nValueError: x\n")
        shown = block(result, settings_for(providers.load("tencent"), "http://x/"))
        assert "our own error, not the receiver's; please report it:\nTraceback\n  line 1\nValueError: x" in shown
        assert "usual fix" not in shown
        assert "expected:" not in shown

    def test_could_not_run(self) -> None:
        """What could not run says why, and what to do."""
        result = result_of(Verdict.COULD_NOT_RUN, reason="no effects", fix="Give them")
        shown = block(result, settings_for(providers.load("tencent"), "http://x/"))
        assert shown.endswith("could not run: no effects\ndo this: Give them")

    def test_long_body(self, echoing: LittleServer) -> None:
        """A long body is cut, says how long it was, and has no curl line."""
        run = Run(settings_for(providers.load("rongcloud"), echoing.url))
        attempt = run.deliver(*(run.event() for _ in range(40)))
        shown = block(failure(attempt), run.settings)
        size = len(attempt.shot.request.body)
        assert f"… ({size} bytes)" in shown
        assert f"the body of {size} bytes is too long to print" in shown
        assert max(map(len, shown.splitlines())) < 1400


class TestMasking:
    """No secret leaves through a report."""

    @pytest.mark.parametrize("name", NAMES)
    def test_everywhere(self, name: str, echoing: LittleServer) -> None:
        """Secrets are masked in the block, in the JSON result and in the summary, also where a receiver echoes them."""
        settings = settings_for(providers.load(name), echoing.url, headers=(("X-Gateway", GATEWAY),))
        run = Run(settings)
        attempt = run.deliver(run.event())
        words = f"it says {SECRET} and {GATEWAY}, which is long enough to be broken into several lines, {SECRET}"
        for count in range(40):
            said = {"expected": f"{'x' * count} {words}", "actual": f"{'y' * count}{words}", "reason": words}
            shown = [
                block(failure(attempt, expected=said["expected"], actual=said["actual"], known=words), settings),
                block(result_of(Verdict.COULD_NOT_RUN, reason=said["expected"], fix=said["actual"]), settings),
                block(result_of(Verdict.HARNESS_ERROR, reason=words, attempts=(attempt,)), settings),
            ]
            for text in shown:
                assert_hidden(text)
        those = [
            failure(attempt, expected=words, actual=words),
            result_of(Verdict.COULD_NOT_RUN, reason=words, fix=words),
        ]
        outcome = conclude(those, Level.SHOULD, {}, [])
        result = document(run, those, outcome)
        assert_hidden("\n".join(screen(result)))
        assert_hidden(json.dumps(result, ensure_ascii=False))
        assert MASK in result["checks"][0]["exchanges"][0]["reply"]["body"]

    def test_curl_headers(self, echoing: LittleServer) -> None:
        """The curl line names the extra headers, without their values."""
        settings = settings_for(providers.load("commsease"), echoing.url, headers=(("X-Gateway", GATEWAY),))
        run = Run(settings)
        (line,) = [one for one in curl(run.deliver(run.event()), settings) if one.startswith("curl")]
        assert "-H 'X-Gateway: ***'" in line

    def test_repr(self) -> None:
        """Settings do not show secrets when they are printed."""
        settings = settings_for(providers.load("commsease"), "http://x/", headers=(("X-Gateway", GATEWAY),))
        assert_hidden(repr(settings))


def assert_hidden(text: str) -> None:
    """Fail where a secret, or a telling part of one, is in a text."""
    for secret in (SECRET, GATEWAY, "s3cret", "t0ken"):
        assert secret not in text


AGO = 5_400_000
"""Milliseconds: the requests that are sent again were first sent an hour and a half ago."""


class Replay:
    """Prints a request that was sent a good while ago as curl, and runs what was printed."""

    def __init__(self, provider: Provider, server: LittleServer, folder: Path, credentials: Credentials) -> None:
        self.provider = provider
        self.server = server
        self.folder = folder
        # Characters that a shell, or curl, would take for more than they are.
        url = f"{server.url}/call-backs/$HOME/`x`/{{a,b}}/[1-2]?a=b%20c&d=$(x)"
        self.run = Run(Settings(url, provider, credentials, seed=7, settle=0))
        self.then = utc_millis() - AGO
        self.stamp = Stamp(self.then, "4711")

    def shot(self, event: Event | None = None, **more: Any) -> Shot:
        """Return a shot of an event, signed then."""
        return self.run.shot(event or self.run.event(), **{"stamp": self.stamp, **more})

    def signed(self, body: bytes, wire: Wire = DOCUMENTED) -> Shot:
        """Return a shot of a body, signed then."""
        settings = self.run.settings
        signed = self.provider.feeds[0].sign(body, "X", settings.url, settings.credentials, self.stamp, wire)
        return Shot(self.provider.feeds[0], signed, signed, (), settings.credentials)

    def altered(self, role: str, change: Callable[[str], list[str]]) -> Shot:
        """Return a shot in which the values of one parameter were changed after signing."""
        parameter = self.provider.feeds[0].parameter(role)

        def changed(request: Request) -> Request:
            (value,) = parameter.values(request)
            return parameter.given(request, *change(value))

        return self.shot(change=changed, forged=True)

    def again(self, shot: Shot, parameters: Sequence[Parameter] = ()) -> Request:
        """Return the request that the printed lines make; `parameters` are spelled as in the shot."""
        attempt = Attempt(shot, NoReply("timed-out", "", 1.0), Judgement(Outcome.TIMED_OUT, "rule"), self.then)
        script = "\n".join(["set -eu", *curl(attempt, self.run.settings)])
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "IM_APP_SECRET": SECRET, "HOME": "/nowhere"},
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert (0, b"") == (ended.returncode, ended.stderr), script
        assert ended.stdout.startswith(b"HTTP/1.1 200")
        assert {"body.json", "sent.json"} >= {file.name for file in self.folder.iterdir()}
        request = self.server.got[-1]
        assert shot.request.body == request.body
        assert shot.request.chunked == request.chunked
        assert shot.request.method == request.method
        # All that is not signed stays as it is, in place.
        fresh = {one.name.lower() for one in parameters or self.provider.feeds[0].parameters}
        assert [pair for pair in query_pairs(shot.request.url) if pair[0].lower() not in fresh] == [
            pair for pair in query_pairs(request.url) if pair[0].lower() not in fresh
        ]
        assert [name for name, _ in query_pairs(shot.request.url)] == [name for name, _ in query_pairs(request.url)]
        assert shot.request.url.partition("?")[0] == request.url.partition("?")[0]
        own = [h for h in request.headers if h[0] not in ("Host", "User-Agent", "Accept", "Content-Length")]
        own = [h for h in own if h[0] != "Transfer-Encoding"]
        assert [name for name, _ in shot.request.headers] == [name for name, _ in own]
        return request

    def problem(self, request: Request, now: int | None = None) -> str | None:
        """Return what is wrong with a request, without the values; also where a time is too old."""
        now = utc_millis() if now is None else now
        settings = self.run.settings
        found = self.provider.feeds[0].verify(request, settings.credentials, now)
        if found is None and self.provider.name != "tencent":
            (time,) = self.provider.feeds[0].parameter("time").values(request)
            found = "stale" if abs(now - int(time)) > 600_000 else None
        return found and re.sub(r"'[^']*'", "'…'", found)

    def refused_alike(self, shot: Shot) -> Request:
        """Return the request that is made again; fail unless it is refused now for the reason it was then."""
        before = self.problem(shot.request, self.then)
        request = self.again(shot)
        assert before is not None
        assert before == self.problem(request)
        return request


@pytest.fixture(params=NAMES)
def replay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Replay]:
    """Return what sends again with curl, for each provider."""
    needed("bash", "curl")
    provider = providers.load(request.param)
    with serving(lambda request: (200, "application/json", OK)) as server:
        yield Replay(provider, server, tmp_path, Credentials(provider.defaults.app_key, SECRET))


class TestCurl:
    """The printed lines, run by a shell: signed afresh, and otherwise as it was sent."""

    @pytest.mark.parametrize(
        "wire",
        [
            Wire(),
            Wire(chunked=True),
            Wire(content_type=None),
            Wire(content_type="application/json;charset=utf-8"),
            Wire(header_case="lower"),
            Wire(header_case="upper"),
            Wire(spaces=True, tail="\n"),
            Wire(escapes="unicode"),
        ],
        ids=str,
    )
    def test_accepted(self, wire: Wire, replay: Replay) -> None:
        """What was valid an hour and a half ago is sent again with a signature of now."""
        shot = replay.shot(wire=wire)
        assert "stale" in (replay.problem(shot.request) or "") or "from now" in (replay.problem(shot.request) or "")
        assert replay.problem(replay.again(shot)) is None

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"\n",
            b"-n",
            b"@file",
            b"%s%d\\n%%",
            b'it\'s "quoted" $HOME `id` $(id) \\ \\\\ !! ~ *',
            "你好 🎉\n'二'\n\n".encode(),
            b"\r\n\t\x1b[31m\x7f",
            b"\x00\xff\xfe",
            "\u202eevil\u200b\u2028".encode(),
            b"x" * 4000,
        ],
        ids=ascii,
    )
    def test_bodies(self, body: bytes, replay: Replay) -> None:
        """Bodies go out byte for byte, and only printable text is printed as it is."""
        shot = replay.signed(body)
        assert replay.problem(replay.again(shot)) is None
        attempt = Attempt(shot, NoReply("timed-out", "", 1.0), Judgement(Outcome.TIMED_OUT, ""), replay.then)
        shown = "".join(curl(attempt, replay.run.settings))
        assert shown.replace("\n", "").isprintable()

    @pytest.mark.parametrize("secret", ["not-the-secret", "", "it's $HOME"])
    def test_wrong_secret(self, secret: str, replay: Replay) -> None:
        """A signature made with another secret stays one; that secret is printed, ours is not."""
        key = replay.run.settings.credentials.app_key
        replay.refused_alike(replay.shot(credentials=Credentials(key, secret), forged=True))

    def test_foreign_app(self, replay: Replay) -> None:
        """Another application's key stays."""
        replay.refused_alike(replay.shot(credentials=Credentials("1400000002", SECRET), forged=True))

    def test_stale(self, replay: Replay) -> None:
        """What was too old when it was sent is as old again."""
        stamp = Stamp(replay.then - 3_700_000, "4711")
        request = replay.refused_alike(replay.shot(stamp=stamp, forged=True))
        assert replay.problem(request, utc_millis() - 3_700_000) is None

    @pytest.mark.parametrize("by", [1, -1, 60, 1000])
    def test_altered_time(self, by: int, replay: Replay) -> None:
        """A time that was moved after signing is moved by as much from the fresh one."""
        request = replay.refused_alike(replay.altered("time", lambda value: [str(int(value) + by)]))
        parameter = replay.provider.feeds[0].parameter("time")
        (value,) = parameter.values(request)
        assert replay.problem(parameter.given(request, str(int(value) - by))) is None

    @pytest.mark.parametrize(
        ("replay", "role"),
        [(name, p.role) for name in NAMES for p in providers.load(name).feeds[0].parameters if p.role != "key"],
        indirect=["replay"],
    )
    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda value: [], id="left out"),
            pytest.param(lambda value: [""], id="empty"),
            pytest.param(lambda value: ["0" + value[::-1], value], id="wrong, then right"),
            pytest.param(lambda value: [value, "0" + value[::-1]], id="right, then wrong"),
        ],
    )
    def test_missing(self, role: str, change: Callable[[str], list[str]], replay: Replay) -> None:
        """A parameter that was left out, emptied or doubled is so again; the right one of two is a fresh one."""
        request = replay.refused_alike(replay.altered(role, change))
        parameter = replay.provider.feeds[0].parameter(role)
        values = parameter.values(request)
        assert len(change("x")) == len(values)
        if len(values) == 2:
            problems = [replay.problem(parameter.given(request, value)) for value in values]
            assert 1 == problems.count(None)
            assert (change("x")[0] == "x") == (problems[0] is None)

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda value: value[:8], id="cut"),
            pytest.param(lambda value: value + "00", id="prolonged"),
            pytest.param(lambda value: "é" * len(value), id="not in ASCII"),
        ],
    )
    def test_signature(self, change: Callable[[str], str], replay: Replay) -> None:
        """A part of the signature, or more than it, is made from a fresh one."""
        request = replay.refused_alike(replay.altered("signature", lambda value: [change(value)]))
        parameter = replay.provider.feeds[0].parameter("signature")
        time = int(replay.provider.feeds[0].parameter("time").values(request)[0])
        nonce = (
            replay.provider.feeds[0].parameter("nonce").values(request)[0]
            if replay.provider.feeds[0].has("nonce")
            else ""
        )
        millis = time * 1000 if replay.provider.name == "tencent" else time
        settings = replay.run.settings
        due = replay.provider.feeds[0].sign(request.body, "", settings.url, settings.credentials, Stamp(millis, nonce))
        assert [change(parameter.values(due)[0])] == parameter.values(request)
        assert abs(utc_millis() - millis) < 60_000

    @pytest.mark.parametrize("replay", ["rongcloud"], indirect=True)
    def test_altered_nonce(self, replay: Replay) -> None:
        """A nonce that was changed after signing is changed again."""
        replay.refused_alike(replay.altered("nonce", lambda value: [str(int(value) + 1)]))

    def test_tampered(self, replay: Replay) -> None:
        """A body that was changed after signing goes out changed, with the signature of the first one."""
        shot = replay.shot(change=lambda request: request._replace(body=b"{'tampered': 1}"), forged=True)
        if replay.provider.feeds[0].has("digest"):
            replay.refused_alike(shot)
        else:
            assert replay.problem(replay.again(shot)) is None

    @pytest.mark.parametrize("replay", ["commsease"], indirect=True)
    def test_recomputed_digest(self, replay: Replay) -> None:
        """A digest that was made to fit a changed body fits again."""
        parameter = replay.provider.feeds[0].parameter("digest")
        digest = hashlib.md5(b"tampered").hexdigest()
        shot = replay.shot(
            change=lambda request: parameter.given(request._replace(body=b"tampered"), digest), forged=True
        )
        assert [digest] == parameter.values(replay.refused_alike(shot))

    def test_stolen(self, replay: Replay) -> None:
        """Parameters of another delivery stay what they were, to the last one."""
        other = replay.shot(stamp=Stamp(replay.then - 5000, "1234")).request
        shot = replay.shot(change=lambda request: request._replace(headers=other.headers, url=other.url), forged=True)
        request = replay.again(shot)
        for parameter in replay.provider.feeds[0].parameters:
            assert parameter.values(other) == parameter.values(request)

    @pytest.mark.parametrize("replay", ["rongcloud"], indirect=True)
    def test_legacy_names(self, replay: Replay) -> None:
        """What was signed under other names is signed afresh under those names."""
        shot = replay.shot(wire=Wire(legacy_names=True))
        request = replay.again(shot, replay.provider.feeds[0].parameters_in(Wire(legacy_names=True)))
        plain = request._replace(url=request.url.replace("signTimestamp=", "timestamp="))
        assert "signTimestamp=" in request.url
        assert replay.problem(plain) is None

    def test_other_method(self, replay: Replay) -> None:
        """A method other than POST is kept."""
        shot = replay.shot(change=lambda request: request._replace(method="PUT"))
        assert "PUT" == replay.again(shot).method


class TestWithoutSecret:
    """Curl lines where nothing is signed, and where the secret is not at hand."""

    def test_no_token(self, tmp_path: Path) -> None:
        """Without a callback token nothing is signed, and the lines ask for no secret."""
        needed("bash", "curl")
        provider = providers.load("tencent")
        with serving(lambda request: (200, "application/json", OK)) as server:
            replay = Replay(provider, server, tmp_path, Credentials(provider.defaults.app_key, None))
            shot = replay.shot()
            assert replay.problem(replay.again(shot)) is None
            attempt = Attempt(shot, NoReply("timed-out", "", 1.0), Judgement(Outcome.TIMED_OUT, ""), replay.then)
            assert "SECRET" not in "".join(curl(attempt, replay.run.settings))

    def test_not_exported(self, replay: Replay) -> None:
        """Without the secret in the environment the lines stop, and say what is missing."""
        shot = replay.shot()
        attempt = Attempt(shot, NoReply("timed-out", "", 1.0), Judgement(Outcome.TIMED_OUT, ""), replay.then)
        script = "\n".join(curl(attempt, replay.run.settings))
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=replay.folder,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode != 0
        assert "IM_APP_SECRET: export it first: the app secret" in ended.stderr
        assert [] == replay.server.got


def checked(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result that has passed through JSON and is valid by its schema."""
    written: dict[str, Any] = json.loads(json.dumps(result, ensure_ascii=False))
    VALIDATOR.validate(written)
    return written


class TestDocument:
    """Tests for `document` and `result.schema.json`."""

    def test_schema(self) -> None:
        """The schema itself is one."""
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    @pytest.mark.parametrize(
        ("expected", "verdicts"),
        [
            (("pass", 0), [Verdict.PASS, Verdict.NOT_APPLICABLE]),
            (("fail", 1), [Verdict.PASS, Verdict.FAIL, Verdict.COULD_NOT_RUN]),
            (("incomplete", 8), [Verdict.PASS, Verdict.COULD_NOT_RUN]),
            (("error", 3), [Verdict.PASS, Verdict.HARNESS_ERROR]),
        ],
    )
    def test_valid(self, expected: tuple[str, int], verdicts: list[Verdict], echoing: LittleServer) -> None:
        """The result of each verdict has the documented members and is valid."""
        run = Run(settings_for(providers.load("tencent"), echoing.url))
        attempt = run.deliver(run.event(), note="你好")
        made = {
            Verdict.PASS: result_of(Verdict.PASS),
            Verdict.FAIL: failure(*[attempt] * 9),
            Verdict.COULD_NOT_RUN: result_of(Verdict.COULD_NOT_RUN, reason="why", fix="do"),
            Verdict.NOT_APPLICABLE: result_of(Verdict.NOT_APPLICABLE, reason="why"),
            Verdict.HARNESS_ERROR: result_of(Verdict.HARNESS_ERROR, reason="Traceback", attempts=(attempt,)),
        }
        those = [made[verdict] for verdict in verdicts]
        written = checked(document(run, those, conclude(those, Level.SHOULD, {}, [])))
        assert expected == (written["verdict"], written["exit_status"])
        assert list(SCHEMA["required"]) == list(written)
        assert [one.value for one in verdicts] == [check["verdict"] for check in written["checks"]]
        assert ("tencent", 7, []) == (written["provider"], written["seed"], written["handles"])

    def test_exchanges(self, echoing: LittleServer) -> None:
        """Up to fifty exchanges are kept, and how many are left out; with them goes what sends them again."""
        run = Run(settings_for(providers.load("tencent"), echoing.url))
        attempt = run.deliver(run.event())
        few, many = failure(*[attempt] * 50), failure(*[attempt] * 53, id="tencent.family.other")
        written = checked(document(run, [few, many], conclude([few, many], Level.SHOULD, {}, [])))
        kept = [(len(one["exchanges"]), one.get("exchanges_left_out")) for one in written["checks"]]
        assert [(50, None), (50, 3)] == kept
        assert "for i in $(seq 53); do curl " in written["checks"][1]["send_again"]

    def test_folded(self) -> None:
        """A failure that another one shows already names that one."""
        run = Run(settings_for(providers.load("tencent"), "http://127.0.0.1/"))
        those = [failure(), failure(id="tencent.family.second", folded_into="tencent.family.first")]
        written = checked(document(run, those, conclude(those, Level.SHOULD, {}, [])))
        assert [None, "tencent.family.first"] == [one.get("folded_into") for one in written["checks"]]

    def test_hostile_reply(self) -> None:
        """Whatever a receiver answers, the result is valid JSON in UTF-8, without control characters."""
        content = b"\x00\x1b]0;x\x07\xed\xa0\x80\xff" + "\u202e\u2028".encode()
        with serving(lambda request: (403, "text/plain", content)) as little:
            run = Run(settings_for(providers.load("tencent"), little.url))
            those = [failure(run.deliver(run.event()), actual="\ud800\x1b")]
            written = checked(document(run, those, conclude(those, Level.SHOULD, {}, [])))
        assert json.dumps(written, ensure_ascii=False).encode()
        assert "\\ud800\\x1b" == written["checks"][0]["actual"]
        body = written["checks"][0]["exchanges"][0]["reply"]["body"]
        assert r"\x00\x1b]0;x\x07\xed\xa0\x80\xff\u202e\u2028" == body

    def test_no_reply(self) -> None:
        """An exchange without a reply has none, and everything else."""
        run = Run(settings_for(providers.load("rongcloud"), unused_url()))
        those = [failure(run.deliver(run.event()))]
        written = checked(document(run, those, conclude(those, Level.SHOULD, {}, [])))
        (exchange,) = written["checks"][0]["exchanges"]
        assert "reply" not in exchange
        assert "unreachable" == exchange["outcome"]
        none = {"count": 0, "p50_ms": 0, "p95_ms": 0, "max_ms": 0, "deadline_ms": 5000, "buckets": []}
        assert none == written["acks"]

    def test_known(self) -> None:
        """A known failure gives the baseline's reason."""
        run = Run(settings_for(providers.load("rongcloud"), unused_url()))
        those = [failure()]
        written = checked(document(run, those, conclude(those, Level.SHOULD, {those[0].id: "ticket 7"}, [those[0].id])))
        assert ("pass", "ticket 7") == (written["verdict"], written["checks"][0]["reason"])

    def test_acks(self) -> None:
        """Only what was valid and acknowledged is counted and timed."""
        with serving(lambda request: (200, "application/json", OK)) as server:
            run = Run(settings_for(providers.load("tencent"), server.url))
            run.send(*(run.shot(run.event()) for _ in range(5)), run.shot(run.event(), forged=True))
            run.send(run.raw(b"null"))
        acks = document(run, [], Conclusion("incomplete", ExitStatus.INCOMPLETE))["acks"]
        assert 5 == acks["count"]
        assert 0 < acks["p50_ms"] <= acks["p95_ms"] <= acks["max_ms"] < 2000
        assert 2000 == acks["deadline_ms"]

    def test_buckets(self) -> None:
        """Times are counted up to the first bound that holds all of them; one that is a bound is up to it."""
        assert [] == _buckets([])
        counted = [(one["up_to_ms"], one["count"]) for one in _buckets([0.4, 1.0, 1.1, 9.9, 19.0])]
        assert [(1, 2), (2, 1), (5, 0), (10, 1), (20, 1)] == counted

    def test_what_is_owed(self) -> None:
        """An exchange says when it left, what it carried, and what the receiver owed."""
        with serving(lambda request: (200, "application/json", OK)) as server:
            run = Run(settings_for(providers.load("tencent"), server.url))
            event = run.event()
            told = [*run.send(run.shot(event), run.shot(event, forged=True)), *run.send(run.raw(b"null"))]
            (unread,) = performed(run, (Step(0, transport=Transport(read_reply=False)),), [run.shot(event)])
        those = [failure(*told, unread)]
        written = checked(document(run, those, conclude(those, Level.SHOULD, {}, [])))
        exchanges = written["checks"][0]["exchanges"]
        assert ["acknowledgement", "refusal", "answer", "nothing"] == [one["expected"] for one in exchanges]
        assert [attempt.sent_at for attempt in those[0].attempts] == [one["sent_at"] for one in exchanges]
        assert min(one["sent_at"] for one in exchanges) == written["began"]
        assert {2000} == {one["deadline_ms"] for one in exchanges}
        assert [run.kind_of(event)] * 2 == [one["type"] for one in exchanges[:2]]
        (same,) = {tuple(one["events"]) for one in (*exchanges[:2], exchanges[3])}
        assert list(map(str, run.occurrences(event))) == list(same)
        assert {"type", "events"}.isdisjoint(exchanges[2])

    @pytest.mark.parametrize(
        "change",
        [
            {"verdict": "green"},
            {"exit_status": 2},
            {"verdict": "pass", "exit_status": 8},
            {"verdict": "pass", "checks": []},
            {"verdict": "fail", "exit_status": 0},
            {"seed": "7"},
            {"handles": ["a", "a"]},
            {"acks": {}},
            {"surplus": 1},
        ],
    )
    def test_invalid(self, change: dict[str, Any]) -> None:
        """The schema refuses what no result may be."""
        run = Run(settings_for(providers.load("tencent"), "http://127.0.0.1/"))
        those = [result_of(Verdict.PASS)]
        result = checked(document(run, those, conclude(those, Level.SHOULD, {}, [])))
        assert not VALIDATOR.is_valid({**result, **change})
